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
from tacit.captions.sidecar import member_captions
from tacit.data.shards import expand, read_rows, reader
from tacit.errors import InvalidInput, PathError, TacitError

SUFFIX = "tacit"


@dataclass(frozen=True)
class Coded:
    """A `.tacit` file that is not decoded yet. name: for messages; data: its bytes, or why there are none; captions:
    beside the file; seed: of the crop and the caption; fields: what else a shard has of the sample, as bytes."""

    name: str
    data: bytes | TacitError
    captions: tuple[str, ...]
    seed: tuple[int, ...]
    fields: Mapping[str, bytes] = field(default_factory=dict)

    def draw_caption(self, rng: np.random.Generator) -> str | None:
        """Draw one of the captions beside the file; None where there is none."""
        return self.captions[int(rng.integers(len(self.captions)))] if self.captions else None


class _Epochs:
    """The epoch, which workers that go on from one to the next see, too."""

    def __init__(self) -> None:
        self._epoch = torch.zeros((), dtype=torch.int64, device="cpu").share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Other crops, captions and, in shards, another order than in other epochs. Call it before each."""
        self._epoch.fill_(epoch)

    @property
    def epoch(self) -> int:
        """As it was set; 0 at first."""
        return int(self._epoch)


class TacitFiles(_Epochs, Dataset[Coded]):
    """`.tacit` files, by number.

    sources: files, folders (with all below them) or patterns. seed: of crops and captions. The caption of
    photo.tacit is in photo.txt beside it, or else in the file.

    Raises: PathError, InvalidInput.
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
        return Coded(str(path), data, beside(path), (self.seed, self.epoch, index))


def seed_of(seed: int, epoch: int, name: str) -> tuple[int, int, int]:
    """Of a sample that has no number."""
    return seed, epoch, zlib.crc32(name.encode())


def beside(path: Path) -> tuple[str, ...]:
    """The caption of photo.tacit in photo.txt, if there is one."""
    sidecar = path.with_suffix(".txt")
    text = sidecar.read_text("utf-8-sig", errors="replace").strip() if sidecar.is_file() else ""
    return (text,) if text else ()


class TacitShards(_Epochs, IterableDataset[Coded]):
    """One pass over WebDataset shards: tar files in which 0001.tacit stands beside 0001.txt or 0001.json (see
    `tacit.data.shards`). Shards are dealt out to processes and their workers.

    urls: patterns of shards, such as "shards/{0000..0099}.tar", "shards/*.tar" or "s3://bucket/{000..999}.tar". seed:
    of everything random. shuffle: samples from which the next is drawn, with the shards in random order; 0: as they
    stand. rank, processes: of this process, as in torch.distributed.

    Raises: MissingExtra; PathError, for a pattern that finds nothing; InvalidInput, for fewer shards than processes.
    """

    def __init__(self, *urls: str, seed: int = 0, shuffle: int = 1000, rank: int = 0, processes: int = 1) -> None:
        super().__init__()
        self.urls = tuple(found for pattern in urls for found in expand(pattern))
        if len(self.urls) < processes:
            raise InvalidInput(f"{len(self.urls)} shards for {processes} processes: each needs one")
        self.seed, self.shuffle, self.rank, self.processes = seed, shuffle, rank, processes

    def __iter__(self) -> Iterator[Coded]:
        number, readers = reader(self.rank, self.processes)
        epoch = self.epoch
        order = np.arange(len(self.urls))
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        mine = [self.urls[i] for i in order[number::readers]]
        failures: list[Coded] = []
        told: set[str] = set()

        def failed(url: str, error: Exception) -> None:
            if url not in told:  # a cut tar file is heard of twice
                failures.append(Coded(url, PathError(_first_line(error)), (), ()))
            told.add(url)

        rng = np.random.default_rng([self.seed, epoch, number + 1])
        for row in read_rows(mine, self.shuffle, int(rng.integers(2**31)), failed):
            yield from _drain(failures)
            yield self._coded(row, epoch)
        yield from _drain(failures)

    def _coded(self, row: dict[str, bytes], epoch: int) -> Coded:
        place = f"{os.path.basename(str(row['__url__']))}/{row['__key__']!s}"
        data: bytes | TacitError = row.get(SUFFIX) or InvalidInput(f"no .{SUFFIX} file")
        fields = {k: v for k, v in row.items() if k != SUFFIX and not k.startswith("__")}
        return Coded(place, data, member_captions(row), seed_of(self.seed, epoch, place), fields)


def _drain(failures: list[Coded]) -> Iterator[Coded]:
    while failures:
        yield failures.pop(0)


def _first_line(error: Exception) -> str:
    said = getattr(error, "strerror", None) or (str(error.args[0]) if error.args else "")
    said = said.split(" @ <")[0]  # WebDataset adds the file object
    return next(iter(said.splitlines()), type(error).__name__)
