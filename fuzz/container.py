"""The container on its own: whole, salvaged, and its header."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress

from fuzz import tacit_files
from tacit import container
from tacit.errors import FileError, ImageTooLarge

mutate = tacit_files.mutate


def _salvage(data: bytes) -> container.Container:
    return container.read(data, salvage=True)


READERS: Sequence[Callable[[bytes], object]] = (container.read, _salvage, container.read_header)


def check(data: bytes) -> None:
    """Read a file in one of three ways, which its checksum chooses; one that is whole in all of them.

    What they give must then be the same, and the same again after it is written.
    """
    with suppress(FileError, ImageTooLarge):
        if READERS[zlib.crc32(data) % len(READERS)](data) is None:
            raise AssertionError("nothing was read")
        file = container.read(data)
        _agree(data, file)


def _agree(data: bytes, file: container.Container) -> None:
    try:
        salvaged, (header, metadata, sizes) = _salvage(data), container.read_header(data)
    except (FileError, ImageTooLarge) as error:
        raise AssertionError("a file can be read in one way, and not in another") from error
    assert salvaged == file, "salvage changes a file that is whole"
    assert (header, metadata) == (file.header, file.metadata), "the header alone is another than in the whole file"
    assert sum(sizes.values()) == len(data), "the sizes do not add up to the file"
    regions = [region for region in file.regions if region is not None]
    try:
        again = container.read(container.write(file.header, file.metadata, file.alpha, regions))
    except (FileError, ImageTooLarge) as error:
        raise AssertionError("a file cannot be read after it is written again") from error
    assert again == file, "a file changes when it is written again"
