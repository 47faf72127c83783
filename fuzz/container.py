"""The container on its own: whole, salvaged, its beginning, and its header."""

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


def _partial(data: bytes) -> container.Container:
    return container.read(data, partial=True)


READERS: Sequence[Callable[[bytes], object]] = (container.read, _salvage, container.read_header, _partial)


def check(data: bytes) -> None:
    """Read a file in one of four ways, which its checksum chooses; one that is whole in all of them.

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
    assert _partial(data) == file, "a whole file is another as a beginning"
    front = len(data) - sizes["regions"]
    assert container.front_size(data) == front, "the front is not what stands before the regions"
    _agree_on_beginning(data[: front + zlib.crc32(data) % (len(data) - front + 1)], file)
    assert (header, metadata) == (file.header, file.metadata), "the header alone is another than in the whole file"
    assert sum(sizes.values()) == len(data), "the sizes do not add up to the file"
    regions = [region for region in file.regions if region is not None]
    try:
        again = container.read(container.write(file.header, file.metadata, file.alpha, regions))
    except (FileError, ImageTooLarge) as error:
        raise AssertionError("a file cannot be read after it is written again") from error
    assert again == file, "a file changes when it is written again"


def _agree_on_beginning(data: bytes, file: container.Container) -> None:
    try:
        begun = _partial(data)
    except FileError:
        return  # nothing is there of the first region
    assert (begun.header, begun.metadata, begun.alpha) == (file.header, file.metadata, file.alpha)
    for number, (some, whole) in enumerate(zip(begun.regions, file.regions, strict=True)):
        assert whole is not None
        assert some is None or whole.startswith(some), "a beginning has other bytes"
        assert some == whole or some is None or number in begun.cut, "a region is cut, and nobody says so"
