"""`.tacit` files as a data set of Ray: shards, files in folders, or a column of a Parquet table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from tacit.data.batches import Collate, ImageBatch
from tacit.data.crops import Crop
from tacit.data.datasets import Coded, TacitShards, beside, seed_of
from tacit.data.shards import expand
from tacit.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    import ray.data

COLUMNS = ("tacit", "image")  # of a table, that may hold the files
KINDS = (".tar", ".tacit", ".parquet")
TOGETHER = 32  # pictures in a batch that goes from one of Ray's tasks to the next


def read_tacit(
    paths: str | Sequence[str],
    *,
    crop: Crop | int | None = None,
    on_error: str = "raise",
    seed: int = 0,
    fields: Sequence[str] = (),
    **options: Any,
) -> ray.data.Dataset:
    """A Ray data set with the columns key, image ([H, W, 3] uint8), caption (None where there is none), width and
    height (of the whole picture).

    paths: patterns of shards ("shards/{0000..0099}.tar"); or `.tacit` files with their captions beside them in .txt
    files; or Parquet files that have the files in a column "tacit" or "image"; or folders of any of these, where shards
    go before files, and files before tables, as for `tacit bulk`.
    crop, on_error: as for `Collate`; with "skip", files that cannot be used have no row and are named in the workers'
    logs. seed: of crops. fields: further suffixes of the shards, or columns of the table, that become columns as they
    are. options: of each task, as for `map_batches`, such as num_cpus or concurrency.

    Each of Ray's workers loads the weights once. Raises: MissingExtra, PathError, InvalidInput.
    """
    try:
        data: Any = importlib.import_module("ray.data")
    except ImportError as error:
        raise MissingExtra("read_tacit needs ray: pip install 'tacit[bulk]'") from error
    paths = [paths] if isinstance(paths, str) else list(paths)
    if not paths:
        raise InvalidInput("read_tacit: no paths")
    read = {"collate": Collate(crop, on_error=on_error, pixels=True), "seed": seed, "fields": tuple(fields)}
    kind, found_there = _look(paths)
    if kind == ".tar":
        urls = [url for path in found_there for url in expand(path)]
        decode: Callable[..., Iterator[dict[str, Any]]] = _shards
        rows, batch_size = data.from_items([{"url": url} for url in urls], override_num_blocks=len(urls)), 1
    elif kind == ".parquet":
        rows, decode, batch_size = data.read_parquet(found_there), _table, TOGETHER
    else:
        rows = data.read_binary_files(paths, include_paths=True, file_extensions=["tacit"])
        decode, batch_size = _files, TOGETHER
    found: ray.data.Dataset = rows.map_batches(decode, batch_size=batch_size, fn_kwargs=read, **options)
    return found


def _look(paths: Sequence[str]) -> tuple[str, list[str]]:
    """The kind of what is there, by its ending, and the files or patterns of that kind. Raises: InvalidInput."""
    import fsspec

    there: list[str] = []
    for path in paths:
        fs, root = fsspec.core.url_to_fs(path)
        below = fs.find(root) if fs.isdir(root) else None
        there += [path] if below is None else [fs.unstrip_protocol(n) if "://" in path else n for n in below]
    for kind in KINDS:
        if found := [name for name in there if name.endswith(kind)]:
            return kind, found
    raise InvalidInput(f"{', '.join(paths)}: no {', '.join(KINDS)} there")


def _shards(batch: dict[str, np.ndarray], seed: int, **how: Any) -> Iterator[dict[str, Any]]:
    for url in batch["url"]:
        yield from _decoded(TacitShards(str(url), seed=seed, shuffle=0), **how)


def _files(batch: dict[str, np.ndarray], seed: int, **how: Any) -> Iterator[dict[str, Any]]:
    places = [(str(path), data) for path, data in zip(batch["path"], batch["bytes"], strict=True)]
    yield from _decoded((Coded(p, data, beside(Path(p)), seed_of(seed, 0, p)) for p, data in places), **how)


def _table(
    batch: dict[str, np.ndarray], seed: int, collate: Collate, fields: Sequence[str]
) -> Iterator[dict[str, Any]]:
    column = next((c for c in COLUMNS if c in batch), None)
    if column is None:
        raise InvalidInput(f"columns {', '.join(batch)}: the files are looked for in {' or '.join(COLUMNS)}")
    samples = []
    for number in range(len(batch[column])):
        row = {name: values[number] for name, values in batch.items()}
        data, caption = row[column], row.get("caption")
        data = data.get("bytes") if isinstance(data, dict) else data  # as Hugging Face keeps images
        name = str(row.get("key", number))
        samples.append(
            Coded(
                name,
                data or InvalidInput("an empty row"),
                (caption,) if caption else (),
                seed_of(seed, 0, name),
                {field: row[field] for field in fields},
            )
        )
    yield from _decoded(samples, collate, fields)


def _decoded(samples: Iterable[Coded], collate: Collate, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    waiting = iter(samples)
    while some := list(islice(waiting, TOGETHER)):
        batch = collate(some)
        assert isinstance(batch, ImageBatch)
        if len(batch):
            yield _columns(batch, collate.crop is not None, fields)


def _columns(batch: ImageBatch, equal: bool, fields: Sequence[str]) -> dict[str, Any]:
    """equal: whether the data set's images may be of one size, as one array."""
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
    """[n] of objects, whatever they are."""
    array = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        array[number] = value
    return array
