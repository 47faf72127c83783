"""Pictures to be captioned, from files, folders and shards (tar archives as WebDataset and img2dataset write them)."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tacit import files
from tacit.errors import InvalidInput, PathError, TacitError
from tacit.files import IMAGE_SUFFIXES, STDIO

SHARD_SUFFIXES = frozenset({".tar"})


@dataclass(frozen=True)
class Picture:
    """An image file, or a member of a shard.

    name: the file's path; for a member SHARD.tar/MEMBER, as if the shard were a folder.
    path: the file on disk; offset and size (bytes) of the member in it, size None for a file of its own.
    problem: why it cannot be read, where that is plain already.
    """

    name: str
    path: str
    offset: int = 0
    size: int | None = None
    problem: TacitError | None = None

    def read(self) -> bytes:
        """The image's bytes.

        Raises: PathError; `problem`.
        """
        if self.problem is not None:
            raise self.problem
        if self.size is None:
            return files.read(self.path)
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self.offset)
                data = stream.read(self.size)
        except OSError as error:
            raise PathError(f"cannot be read: {files.reason(error)}") from error
        if len(data) < self.size:
            raise PathError(f"cannot be read: the shard ends after {len(data):,} of {self.size:,} bytes")
        return data


def find_pictures(arguments: Sequence[str]) -> list[Picture]:
    """The pictures that `arguments` (files, folders, glob patterns, shards) mean, each once."""
    pictures: dict[str, Picture] = {}
    for task in files.find(arguments, IMAGE_SUFFIXES | SHARD_SUFFIXES):
        problem = task.problem
        if task.source == STDIO:
            problem = InvalidInput("a caption needs a file name to stand beside")
        if problem is None and PurePath(task.source).suffix.lower() in SHARD_SUFFIXES:
            pictures |= {picture.name: picture for picture in _members(task.source)}
        else:
            pictures[task.source] = Picture(task.source, task.source, problem=problem)
    return list(pictures.values())


def _members(shard: str) -> Iterator[Picture]:
    """The images in a shard; what is wrong with the shard is the problem of a picture of its name."""
    empty = True
    try:
        # Uncompressed only: in a compressed archive each image would cost reading all before it.
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.isreg() and PurePath(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    empty = False
                    yield Picture(f"{shard}/{member.name}", shard, member.offset_data, member.size)
    except tarfile.TarError as error:
        yield Picture(shard, shard, problem=InvalidInput(f"not a whole, uncompressed tar archive: {error}"))
        return
    except OSError as error:
        yield Picture(shard, shard, problem=PathError(f"cannot be read: {files.reason(error)}"))
        return
    if empty:
        yield Picture(shard, shard, problem=InvalidInput("no image in this shard"))
