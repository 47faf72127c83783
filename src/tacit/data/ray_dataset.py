"""`.tacit` files as a data set of Ray: shards, files in folders, or a column of a Parquet table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from tacit.captions.caption_value import usable_texts
from tacit.captions.sidecar import sidecar_captions
from tacit.data.batches import Collate, ImageBatch
from tacit.data.crops import Crop
from tacit.data.datasets import Coded, TacitShards, sample_seed
from tacit.data.shards import expand_pattern
from tacit.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    import ray.data

COLUMNS = ("tacit", "image")  # columns of a table that may hold the files
KINDS = (".tar", ".tacit", ".parquet")
TOGETHER = 32  # images in a batch that goes from one of Ray's tasks to the next


def read_tacit(
    paths: str | Sequence[str],
    *,
    crop: Crop | int | None = None,
    on_error: str = "raise",
    seed: int = 0,
    fields: Sequence[str] = (),
    **options: Any,
) -> ray.data.Dataset:
    """Read `.tacit` files as a Ray data set.

    Its columns are key, image ([H, W, 3] uint8), caption (None where there is none), and width and height (of the whole
    image). Each of Ray's workers loads the weights once.

    Args:
        paths: Patterns of shards ("shards/{0000..0099}.tar"); or `.tacit` files, with their captions beside them in
            .txt files; or Parquet files that have the files in a column "tacit" or "image"; or folders of any of these.
            In folders, shards go before files, and files before tables, as for `tacit bulk`.
        crop: What of each image is read, as for `Collate`.
        on_error: "raise" or "skip", as for `Collate`; with "skip", files that cannot be used have no row and are named
            in the workers' logs.
        seed: The seed of the crops.
        fields: Further suffixes of the shards, or columns of the table, that become columns as they are.
        options: Options of each task, as for `map_batches`, such as num_cpus or concurrency.

    Raises:
        MissingExtra: ray is not installed.
        PathError: A path finds nothing.
        InvalidInput: There are no paths, or no files of these kinds.
    """
    try:
        data: Any = importlib.import_module("ray.data")
    except ImportError as error:
        raise MissingExtra("read_tacit needs ray: pip install 'tacit[bulk]'") from error
    paths = [paths] if isinstance(paths, str) else list(paths)
    if not paths:
        raise InvalidInput("read_tacit needs one path or more, got none")
    arguments = {"collate": Collate(crop, on_error=on_error, pixels=True), "seed": seed, "fields": tuple(fields)}
    kind, names = _find(paths)
    if kind == ".tar":
        urls = [url for name in names for url in expand_pattern(name)]
        decode: Callable[..., Iterator[dict[str, Any]]] = _shards
        rows, batch_size = data.from_items([{"url": url} for url in urls], override_num_blocks=len(urls)), 1
    elif kind == ".parquet":
        rows, decode, batch_size = data.read_parquet(names), _table, TOGETHER
    else:
        rows = data.read_binary_files(paths, include_paths=True, file_extensions=["tacit"])
        decode, batch_size = _files, TOGETHER
    dataset: ray.data.Dataset = rows.map_batches(decode, batch_size=batch_size, fn_kwargs=arguments, **options)
    return dataset


def _find(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Return the first of `KINDS` that the paths have, and the files or patterns of that kind.

    Raises:
        InvalidInput: There are no files of these kinds.
    """
    import fsspec

    files: list[str] = []
    for path in paths:
        fs, root = fsspec.core.url_to_fs(path)
        below = fs.find(root) if fs.isdir(root) else None
        files += [path] if below is None else [fs.unstrip_protocol(n) if "://" in path else n for n in below]
    for kind in KINDS:
        if names := [name for name in files if name.endswith(kind)]:
            return kind, names
    raise InvalidInput(f"{', '.join(paths)}: no files that end in {', '.join(KINDS)}")


def _shards(batch: dict[str, np.ndarray], seed: int, **arguments: Any) -> Iterator[dict[str, Any]]:
    for url in batch["url"]:
        yield from _decoded(TacitShards(str(url), seed=seed, shuffle=0), **arguments)


def _files(batch: dict[str, np.ndarray], seed: int, **arguments: Any) -> Iterator[dict[str, Any]]:
    named = ((str(path), data) for path, data in zip(batch["path"], batch["bytes"], strict=True))
    samples = (
        Coded(name=name, data=data, captions=sidecar_captions(name), seed=sample_seed(seed, 0, name))
        for name, data in named
    )
    yield from _decoded(samples, **arguments)


def _table(
    batch: dict[str, np.ndarray], seed: int, collate: Collate, fields: Sequence[str]
) -> Iterator[dict[str, Any]]:
    column = next((c for c in COLUMNS if c in batch), None)
    if column is None:
        raise InvalidInput(f"the table must have a column {' or '.join(COLUMNS)}, got {', '.join(batch)}")
    samples = []
    for number in range(len(batch[column])):
        row = {name: values[number] for name, values in batch.items()}
        data, caption = row[column], row.get("caption")
        caption = caption.tolist() if isinstance(caption, np.ndarray) else caption
        data = data.get("bytes") if isinstance(data, dict) else data  # as Hugging Face keeps images
        name = str(row.get("key", number))
        samples.append(
            Coded(
                name=name,
                data=data or InvalidInput("an empty row"),
                captions=usable_texts([caption]),
                seed=sample_seed(seed, 0, name),
                fields={field: row[field] for field in fields},
            )
        )
    yield from _decoded(samples, collate, fields)


def _decoded(samples: Iterable[Coded], collate: Collate, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    rest = iter(samples)
    while some := list(islice(rest, TOGETHER)):
        batch = collate(some)
        assert isinstance(batch, ImageBatch)
        if len(batch):
            yield _columns(batch, collate.crop is not None, fields)


def _columns(batch: ImageBatch, equal: bool, fields: Sequence[str]) -> dict[str, Any]:
    """Return a batch as columns; where `equal`, images of one size are one array."""
    if equal and isinstance(batch.images, Tensor):
        images = batch.images.permute(0, 2, 3, 1).contiguous().numpy()
    else:
        images = _objects([image.permute(1, 2, 0).contiguous().numpy() for image in batch.images])
    return {
        "key": np.array(batch.names),
        "image": images,
        "caption": _objects(batch.captions),
        "width": batch.sizes[:, 1].numpy(),
        "height": batch.sizes[:, 0].numpy(),
        **{field: _objects([one.get(field) for one in batch.fields]) for field in fields},
    }


def _objects(values: Sequence[Any]) -> np.ndarray:
    """Return an array [n] of objects, whatever they are."""
    array = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        array[number] = value
    return array
