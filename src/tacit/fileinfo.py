"""What a `.tacit` file says about itself, read without torch and without its pixels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from tacit import architectures, container, weights
from tacit.errors import InvalidInput, PathError, TacitError


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """What `tacit info` prints. Sizes are in bytes and include the framing of the chunks."""

    format_version: int
    """The version of the file format."""

    width: int
    """Pixels."""

    height: int
    """Pixels."""

    mode: str
    """The mode of the decoded image, as Pillow names it: L, LA, RGB or RGBA."""

    quality: float | None
    """0 to 100; None for weights of one fixed rate."""

    model: str | None
    """The name of the weights on this machine that decode the file; None if there are none."""

    architecture: str | None
    """The architecture of the weights; None if this tacit does not know its number."""

    weights_hash: str
    """The decode hash of the weights, in hexadecimal."""

    bytes: int
    """The size of the whole file."""

    bpp: float
    """Bits of the whole file per pixel."""

    regions: int
    """The number of regions that are coded on their own."""

    progressive: bool
    """Whether the beginning of the file gives the whole image, coarse."""

    caption: str | None
    """The stored caption."""

    # The names of the following fields are those of the chunks in `tacit.container.CHUNKS`, with `_bytes` behind them.

    quality_map_bytes: int
    """The size of the quality map."""

    alpha_bytes: int
    """The size of the alpha channel."""

    icc_bytes: int
    """The size of the ICC profile."""

    exif_bytes: int
    """The size of the EXIF metadata."""

    xmp_bytes: int
    """The size of the XMP metadata."""


def _at_end(file: BinaryIO) -> bool:
    if not (hasattr(file, "seekable") and file.seekable()):
        return False
    place = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(place)
    return place >= end


def info(source: bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO) -> FileInfo:
    """Return what the header and the metadata of a file say.

    Args:
        source: The file, as bytes, as a path or as a binary file, read from where it stands (at its end: whole).

    Raises:
        CorruptFile: The header or the metadata are damaged.
        UnsupportedFile: It is not a `.tacit` file, or of a newer version.
        PathError: The file cannot be read.
        InvalidInput: The source is none of these.
    """
    try:
        if isinstance(source, str | os.PathLike):
            with open(source, "rb") as stream:
                header, metadata, sizes = container.read_header(stream)
        else:
            if not isinstance(source, bytes | bytearray | memoryview) and _at_end(source):
                source.seek(0)
            header, metadata, sizes = container.read_header(source)
    except TacitError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null character in a path, a closed file
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "file")
        raise PathError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    except (AttributeError, TypeError) as error:  # no such method; text instead of bytes
        raise InvalidInput(f"a file must be bytes, a path or a binary file, got {type(source).__name__}") from error
    model = weights.by_hash(header.weights_hash)
    architecture = architectures.by_number(header.model_id)
    total = sum(sizes.values())
    return FileInfo(
        format_version=header.version,
        width=header.width,
        height=header.height,
        mode=header.channels,
        quality=header.quality,
        model=None if model is None else model.name,
        architecture=None if architecture is None else architecture.name,
        weights_hash=header.weights_hash.hex(),
        bytes=total,
        bpp=8 * total / (header.width * header.height),
        regions=len(container.region_grid(header.width, header.height)),
        progressive=header.progressive,
        caption=metadata.caption,
        **_chunk_sizes(sizes),
    )


def _chunk_sizes(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the fields of `FileInfo` that are sizes of chunks: `icc_bytes` is the size of the chunk named "icc"."""
    fields = {f"{name.replace(' ', '_')}_bytes": size for name, size in sizes.items()}
    return {field.name: fields[field.name] for field in dataclasses.fields(FileInfo) if field.name in fields}
