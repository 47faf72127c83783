"""Images to be captioned, in files, folders and shards (tar archives as WebDataset and img2dataset write them)."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tacit import files
from tacit.errors import InvalidInput, PathError, TacitError
from tacit.files import STDIO
from tacit.image import readable_suffixes

SHARD_SUFFIXES = frozenset({".tar"})


@dataclass(frozen=True, kw_only=True)
class ImageLocation:
    """Where the bytes of one image are: a file, or a member of a shard."""

    name: str
    """The file's path; for a member SHARD.tar/MEMBER, as if the shard were a folder."""
    path: str
    """The file on disk: the image itself or the shard."""
    offset: int = 0
    """The position of the member in the shard, in bytes."""
    size: int | None = None
    """The size of the member in bytes; None for an image in a file of its own."""
    problem: TacitError | None = None
    """Why the image cannot be read, where that is known before it is tried."""

    def read(self) -> bytes:
        """Return the image's bytes.

        Raises:
            PathError: The file or the shard cannot be read.
            TacitError: The source has a `problem`.
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


def find_images(arguments: Sequence[str]) -> list[ImageLocation]:
    """Return the images that arguments mean, each once.

    Args:
        arguments: Files, folders, glob patterns and shards. What is wrong with one of them becomes the `problem` of a
            location.
    """
    images: dict[str, ImageLocation] = {}
    for task in files.find(arguments, readable_suffixes() | SHARD_SUFFIXES):
        problem = task.problem
        if task.source == STDIO:
            problem = InvalidInput("cannot be captioned: a caption must stand beside a file name")
        if problem is None and PurePath(task.source).suffix.lower() in SHARD_SUFFIXES:
            images |= {image.name: image for image in _members(task.source)}
        else:
            images[task.source] = ImageLocation(name=task.source, path=task.source, problem=problem)
    return list(images.values())


def _members(shard: str) -> Iterator[ImageLocation]:
    """Return the images in a shard; what is wrong with the shard is the problem of a location of its name."""
    empty, suffixes = True, readable_suffixes()
    try:
        # Uncompressed only: in a compressed archive each image would cost reading all before it.
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.isreg() and PurePath(member.name).suffix.lower() in suffixes:
                    empty = False
                    name = f"{shard}/{member.name}"
                    yield ImageLocation(name=name, path=shard, offset=member.offset_data, size=member.size)
    except tarfile.TarError as error:
        problem: TacitError = InvalidInput(f"not a whole, uncompressed tar archive: {error}")
        yield ImageLocation(name=shard, path=shard, problem=problem)
        return
    except OSError as error:
        problem = PathError(f"cannot be read: {files.reason(error)}")
        yield ImageLocation(name=shard, path=shard, problem=problem)
        return
    if empty:
        yield ImageLocation(name=shard, path=shard, problem=InvalidInput("no image in this shard"))
