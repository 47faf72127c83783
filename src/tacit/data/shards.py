"""WebDataset shards: tar files of photos and captions, local or behind any fsspec URL, read as a stream.

Shards are shuffled and dealt out to processes and their workers; samples are shuffled in a buffer. A stream has no
sample numbers: a resumed run goes on in a new order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tacit.errors import InvalidInput, MissingExtra, PathError


def reader(rank: int, processes: int) -> tuple[int, int]:
    """The number of this worker of this process among all readers, and how many there are."""
    import torch

    worker = torch.utils.data.get_worker_info()
    number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
    return rank * workers + number, processes * workers


def read_rows(
    urls: Sequence[str], buffer: int, seed: int, failed: Callable[[str, Exception], object]
) -> Iterator[dict[str, Any]]:
    """The samples in shards, as bytes by suffix, shuffled in a buffer (0: as they stand). failed(url, error) hears of
    shards that cannot be read, or not to their end.

    Raises: MissingExtra.
    """
    webdataset = _webdataset()
    from webdataset.tariterators import group_by_keys, tar_file_expander

    current = ""

    def on_error(error: Exception) -> bool:
        failed(current, error)
        return True  # go on with the next

    def opened() -> Iterator[dict[str, Any]]:
        import fsspec

        nonlocal current
        for current in urls:
            try:
                with fsspec.open(current, "rb") as stream:
                    yield {"url": current, "stream": stream}
            except Exception as error:  # what a filesystem of fsspec's raises has no common base
                on_error(error)

    rows: Iterator[dict[str, Any]] = group_by_keys(tar_file_expander(opened(), handler=on_error), handler=on_error)
    return iter(webdataset.filters.shuffle(buffer, seed=seed)(rows)) if buffer else rows


def expand(pattern: str) -> list[str]:
    """The shards that a pattern means. Raises: MissingExtra, PathError, InvalidInput."""
    _webdataset()
    import fsspec
    from braceexpand import braceexpand

    found: list[str] = []
    for url in braceexpand(pattern):
        try:
            files, _ = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingExtra(f"{url}: {error}") from error
        except ValueError as error:
            raise InvalidInput(f"{url}: {error}") from error
        if any(c in url for c in "*?["):
            prefix = "" if "://" not in url else f"{url.split('://', 1)[0]}://"
            found += sorted(p if "://" in p or not prefix else prefix + p for p in files.glob(url))
        else:
            found.append(url)
    if not found:
        raise PathError(f"shards {pattern}: none found")
    return found


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise MissingExtra("shards need webdataset: pip install 'tacit[train]'") from error
    return webdataset
