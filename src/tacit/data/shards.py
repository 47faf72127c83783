"""WebDataset shards: tar files, local or behind any fsspec URL, whose members are read as a stream."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from tacit.errors import InvalidInput, MissingExtra, PathError
from tacit.files.shard_members import dotted_samples


def reader_number(rank: int, processes: int) -> tuple[int, int]:
    """Return this reader's number among all readers, and how many readers there are.

    A reader is a worker of a data loader, or a process without workers.

    Args:
        rank: The number of this process.
        processes: How many processes there are.
    """
    import torch

    worker = torch.utils.data.get_worker_info()
    number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
    return rank * workers + number, processes * workers


def read_members(
    urls: Sequence[str], extensions: Collection[str], buffer: int, seed: int, report: Callable[[str, Exception], object]
) -> Iterator[dict[str, Any]]:
    """Read the samples of shards, each as its members' bytes by suffix.

    Args:
        urls: The shards.
        extensions: The suffixes of images. A sample without such a member, but with some that have a dot before it, is
            a sample for each of these.
        buffer: Samples among which the next one is drawn; 0 leaves them in order.
        seed: The seed of the order.
        report: Called with each shard that cannot be read, or not to its end, and the error.

    Raises:
        MissingExtra: webdataset is not installed.
    """
    webdataset = _webdataset()
    from webdataset.tariterators import group_by_keys, tar_file_expander

    current = ""

    def on_error(error: Exception) -> bool:
        report(current, error)
        return True  # go on with the next shard

    def streams() -> Iterator[dict[str, Any]]:
        import fsspec

        nonlocal current
        for current in urls:
            try:
                with fsspec.open(current, "rb") as stream:
                    yield {"url": current, "stream": stream}
            except Exception as error:  # the errors of fsspec's filesystems share no base class
                on_error(error)

    groups: Iterator[dict[str, Any]] = group_by_keys(tar_file_expander(streams(), handler=on_error), handler=on_error)
    rows = (row for group in groups for row in _split(group, extensions))
    return iter(webdataset.filters.shuffle(buffer, seed=seed)(rows)) if buffer else rows


def _split(group: dict[str, Any], extensions: Collection[str]) -> Iterator[dict[str, Any]]:
    about = {key: value for key, value in group.items() if key.startswith("__")}
    members = {key: value for key, value in group.items() if not key.startswith("__")}
    samples = list(dotted_samples(members, extensions))
    for stem, own, captions in samples:
        if stem:
            yield about | {"__key__": f"{about['__key__']}.{stem}"} | captions | own
        elif len(samples) == 1:
            yield about | own


def expand_pattern(pattern: str) -> list[str]:
    """Return the shards that a pattern with braces or wildcards names.

    Raises:
        MissingExtra: webdataset, or what the URL's protocol needs, is not installed.
        PathError: The pattern finds nothing.
        InvalidInput: The protocol is unknown.
    """
    _webdataset()
    import fsspec
    from braceexpand import braceexpand

    urls: list[str] = []
    for url in braceexpand(pattern):
        try:
            filesystem, _ = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingExtra(f"{url}: {error}") from error
        except ValueError as error:
            raise InvalidInput(f"{url}: {error}") from error
        if any(c in url for c in "*?["):
            prefix = "" if "://" not in url else f"{url.split('://', 1)[0]}://"
            urls += sorted(p if "://" in p or not prefix else prefix + p for p in filesystem.glob(url))
        else:
            urls.append(url)
    if not urls:
        raise PathError(f"{pattern}: the pattern finds no shards")
    return urls


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise MissingExtra("shards need webdataset: pip install 'tacit[train]'") from error
    return webdataset
