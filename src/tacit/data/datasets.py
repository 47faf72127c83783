"""Data sets of `.tacit` files for torch: files, or WebDataset shards that hold them.

They read bytes and decide nothing else: `Collate` decodes. Which crop and caption a sample gets follows from the seed,
the epoch and the sample alone, whatever the number of workers.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

from tacit import files
from tacit.captions.sidecar import member_captions, sidecar_captions
from tacit.data.shards import expand_pattern, read_members, reader_number
from tacit.errors import InvalidInput, PathError, TacitError

SUFFIX = "tacit"


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A `.tacit` file that is not decoded yet."""

    name: str
    """What messages call the file."""

    data: bytes | TacitError
    """The file's bytes, or the reason why there are none."""

    captions: tuple[str, ...]
    """The captions beside the file: none, one or several."""

    seed: tuple[int, ...]
    """The seed of the crop and the caption."""

    fields: Mapping[str, bytes] = field(default_factory=dict)
    """The other members of the sample in its shard, by suffix."""

    def draw_caption(self, rng: np.random.Generator) -> str | None:
        """Draw one of the captions beside the file; return None where there is none."""
        return self.captions[int(rng.integers(len(self.captions)))] if self.captions else None


class _Epochs:
    """An epoch number that is shared with workers, also with those that outlive an epoch."""

    def __init__(self) -> None:
        self._epoch = torch.zeros((), dtype=torch.int64, device="cpu").share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, before it begins: it decides the crops, the captions and the order of shards."""
        self._epoch.fill_(epoch)

    @property
    def epoch(self) -> int:
        """The epoch that was set; 0 at first."""
        return int(self._epoch)


class TacitFiles(_Epochs, Dataset[Coded]):
    """`.tacit` files, by number.

    The caption of photo.tacit is in photo.txt beside it, or else in the file.

    Args:
        sources: Files, folders (with all below them) or patterns.
        seed: The seed of crops and captions.

    Raises:
        PathError: A source does not exist or cannot be read.
        InvalidInput: There are no `.tacit` files.
    """

    def __init__(self, *sources: str | os.PathLike[str], seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        tasks = files.find([os.fspath(s) for s in sources], files.TACIT_SUFFIXES)
        for task in tasks:
            if task.problem is not None:
                raise task.problem
            if not Path(task.source).is_file():
                raise PathError(f"{task.source}: no such file or folder")
        if not tasks:
            raise InvalidInput("no .tacit files")
        self.paths = tuple(Path(task.source) for task in tasks)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Coded:
        path = self.paths[index]
        data: bytes | TacitError
        try:
            data = files.read(str(path))
        except PathError as error:
            data = error
        seed = self.seed, self.epoch, index
        return Coded(name=str(path), data=data, captions=sidecar_captions(path), seed=seed)


def sample_seed(seed: int, epoch: int, name: str) -> tuple[int, int, int]:
    """Return the seed of a sample that has a name but no number."""
    return seed, epoch, zlib.crc32(name.encode())


class TacitShards(_Epochs, IterableDataset[Coded]):
    """One pass over WebDataset shards: tar files in which 0001.tacit stands beside 0001.txt or 0001.json.

    Shards are dealt out to processes and their workers. The captions are in the .json ("caption" or "captions"), or
    else in the .txt.

    Args:
        urls: Patterns of shards, such as "shards/{0000..0099}.tar", "shards/*.tar" or "s3://bucket/{000..999}.tar".
        seed: The seed of everything random.
        shuffle: Samples among which the next one is drawn, with the shards in random order; 0 reads them in order.
        rank: The number of this process, as in torch.distributed.
        processes: How many processes there are.

    Raises:
        MissingExtra: webdataset is not installed.
        PathError: A pattern finds nothing.
        InvalidInput: There are fewer shards than processes.
    """

    def __init__(self, *urls: str, seed: int = 0, shuffle: int = 1000, rank: int = 0, processes: int = 1) -> None:
        super().__init__()
        self.urls = tuple(url for pattern in urls for url in expand_pattern(pattern))
        if len(self.urls) < processes:
            raise InvalidInput(f"there must be a shard for each of {processes} processes, got {len(self.urls)}")
        self.seed, self.shuffle, self.rank, self.processes = seed, shuffle, rank, processes

    def __iter__(self) -> Iterator[Coded]:
        number, readers = reader_number(self.rank, self.processes)
        epoch = self.epoch
        order = np.arange(len(self.urls))
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        own = [self.urls[i] for i in order[number::readers]]
        failures: list[Coded] = []
        reported: set[str] = set()

        def report(url: str, error: Exception) -> None:
            if url not in reported:  # WebDataset reports a cut tar file twice
                failures.append(Coded(name=url, data=PathError(_first_line(error)), captions=(), seed=()))
            reported.add(url)

        rng = np.random.default_rng([self.seed, epoch, number + 1])
        for members in read_members(own, (SUFFIX,), self.shuffle, int(rng.integers(2**31)), report):
            yield from _drain(failures)
            yield self._coded(members, epoch)
        yield from _drain(failures)

    def _coded(self, members: dict[str, bytes], epoch: int) -> Coded:
        name = f"{os.path.basename(str(members['__url__']))}/{members['__key__']!s}"
        return Coded(
            name=name,
            data=members.get(SUFFIX) or InvalidInput(f"no .{SUFFIX} file"),
            captions=member_captions(members),
            seed=sample_seed(self.seed, epoch, name),
            fields={k: v for k, v in members.items() if k != SUFFIX and not k.startswith("__")},
        )


def _drain(failures: list[Coded]) -> Iterator[Coded]:
    while failures:
        yield failures.pop(0)


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or (str(error.args[0]) if error.args else "")
    text = text.split(" @ <")[0]  # WebDataset adds the file object
    return next(iter(text.splitlines()), type(error).__name__)
