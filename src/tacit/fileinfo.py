"""What a `.tacit` file says of itself, read without torch and without its pixels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from tacit import architectures, container, weights
from tacit.errors import InvalidInput, PathError, TacitError


@dataclass(frozen=True)
class FileInfo:
    """What `tacit info` prints.

    mode: as in Pillow; quality: 0..100, None for fixed-rate weights; model: the name of the weights on this machine
    that decode the file, None if there are none; architecture: of the model, None if its number is not known;
    weights_hash: hexadecimal; sizes in bytes, framing included; bpp: bits of the whole file per pixel.
    """

    format_version: int
    width: int
    height: int
    mode: str
    quality: float | None
    model: str | None
    architecture: str | None
    weights_hash: str
    bytes: int
    bpp: float
    regions: int
    caption: str | None
    quality_map_bytes: int
    alpha_bytes: int
    icc_bytes: int
    exif_bytes: int
    xmp_bytes: int


def _chunk_sizes(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the fields of `FileInfo` that are sizes of chunks: `icc_bytes` is the size of the chunk named "icc"."""
    fields = {f"{name.replace(' ', '_')}_bytes": size for name, size in sizes.items()}
    return {field.name: fields[field.name] for field in dataclasses.fields(FileInfo) if field.name in fields}


def info(source: bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO) -> FileInfo:
    """Read the header and metadata of a file given as bytes, a path or a binary file.

    Raises: CorruptFile, UnsupportedFile, PathError, InvalidInput.
    """
    try:
        if isinstance(source, str | os.PathLike):
            with open(source, "rb") as stream:
                header, metadata, sizes = container.read_header(stream)
        else:
            header, metadata, sizes = container.read_header(source)
    except TacitError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null character in a path, a closed file
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "file")
        raise PathError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    except (AttributeError, TypeError) as error:  # no such method; text instead of bytes
        raise InvalidInput(f"{type(source).__name__}: bytes, a path or a binary file are needed") from error
    found = weights.by_hash(header.weights_hash)
    architecture = architectures.by_number(header.model_id)
    total = sum(sizes.values())
    return FileInfo(
        format_version=header.version,
        width=header.width,
        height=header.height,
        mode=("RGB" if header.color else "L") + ("A" if header.alpha else ""),
        quality=header.quality,
        model=None if found is None else found.name,
        architecture=None if architecture is None else architecture.name,
        weights_hash=header.weights_hash.hex(),
        bytes=total,
        bpp=8 * total / (header.width * header.height),
        regions=len(container.region_grid(header.width, header.height)),
        caption=metadata.caption,
        **_chunk_sizes(sizes),
    )
