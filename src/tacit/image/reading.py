"""Reading: whatever holds an image, as a `Raster`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tacit.errors import ImageTooLarge, InvalidInput, PathError, TacitError
from tacit.image.colours import ColourSpace
from tacit.image.exif import colours_of_exif, orientation_of
from tacit.image.icc import profile_says
from tacit.image.messages import one_line, warn
from tacit.image.metadata import image_with_info, kept_metadata, metadata_of_srgb
from tacit.image.pixels import APPROXIMATE_MODES, WIDE_MODES, copy_pixels, is_deep, to_levels
from tacit.image.png import without_large_chunks
from tacit.image.raster import Pixels, Raster
from tacit.image.signals import FileSignals, file_signals

if TYPE_CHECKING:
    import torch

PROGRAM = "EPS"
"""Pillow's name of the format whose files are programs, and which Pillow leaves to another program, Ghostscript."""

ImageSource: TypeAlias = (
    "Raster | Image.Image | NDArray[Any] | torch.Tensor | str | os.PathLike[str]"
    " | bytes | bytearray | memoryview | BinaryIO"
)


def load(source: ImageSource) -> Raster:
    """Return any image that a user may have as a `Raster`.

    Samples of more than 8 bits are reduced to 8. Which number is white follows from their type and from the depth that
    a file declares: 1 for floats, 65535 for 16 bits and for Pillow's mode I.

    The limit on pixels is Pillow's: twice `PIL.Image.MAX_IMAGE_PIXELS`. Where a conversion loses something, there is a
    `ConversionWarning`.

    Args:
        source: A `Raster`, which is returned as it is; a Pillow image, whose current frame is taken; an array [H, W] or
            [H, W, C] or a tensor [H, W], [C, H, W] or [H, W, C], with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or
            4 (RGBA), as uint8, bool, uint16 or floats in [0, 1]; or the path, the bytes or the binary file object of an
            image that Pillow reads, whose first frame is taken.

    Raises:
        InvalidInput: This is not an image, or a damaged one, or most of its samples are brighter than white.
        ImageTooLarge: The image has more pixels than the limit.
        PathError: The file cannot be read.
    """
    if isinstance(source, Raster):
        return source
    if isinstance(source, Image.Image):
        return from_pil(source)
    if isinstance(source, np.ndarray):
        return from_array(source)
    if _is_tensor(source):
        return _from_tensor(source)

    file: str | BinaryIO
    if isinstance(source, str | os.PathLike):
        file = name = os.fspath(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        file, name = io.BytesIO(source), "image"
    elif hasattr(source, "read"):
        file, name = cast(BinaryIO, source), _name(getattr(source, "name", None))
    else:
        rule = "a Pillow image, an array, a tensor, a path, bytes or a binary file"
        raise InvalidInput(f"image must be {rule}, got {type(source).__name__}")
    with _reading(name), open_image(file, name) as image:
        return from_pil(image, name=name)


@contextmanager
def open_image(
    file: str | BinaryIO, name: str, formats: list[str] | tuple[str, ...] | None = None
) -> Iterator[Image.Image]:
    """Open an image file as `Image.open` does, whatever texts and profiles a PNG has.

    Args:
        file: The path, or the file where the image begins.
        name: What warnings call it.
        formats: Pillow's names of the formats to try; None for all.

    Raises:
        InvalidInput: The file is EPS, whatever its name.
    """
    with open(file, "rb") if isinstance(file, str) else nullcontext(file) as stream:
        readable, info = without_large_chunks(stream, name) if stream.seekable() else (stream, {})
        with Image.open(file if readable is stream else readable, formats=formats) as image:
            if image.format == PROGRAM:
                raise InvalidInput(f"{name}: {PROGRAM} is not read, because Pillow would run Ghostscript on it")
            image.info.update(info)
            yield image


def from_pil(image: Image.Image, *, info: Mapping[str, Any] | None = None, name: str | None = None) -> Raster:
    """Return a Pillow image of any mode as a `Raster`, turned as its EXIF (or XMP) orientation says.

    The image itself is left as it was. Where the conversion loses something, there is a `ConversionWarning`.

    Args:
        image: The image.
        info: Metadata to go by and to keep instead of the image's own, with keys and values as in Pillow's `info`.
        name: What warnings and errors call the image; by default its file name.

    Raises:
        InvalidInput: The image is empty, closed or damaged.
        ImageTooLarge: The image has more pixels than the limit.
        PathError: The image's file cannot be read.
    """
    name = name or _name(getattr(image, "filename", None))
    _check_size(*image.size, name)
    with _reading(name), _noticing_closed(image, name):
        frames = _count_frames(image)
        deep = is_deep(image)
        signals = file_signals(image)
        image.load()  # also reads metadata that stands behind the pixels
        described = image if info is None else image_with_info(info)
        if signals.icc is not None and info is None:
            described = image_with_info(
                {"icc_profile": signals.icc, **{str(key): value for key, value in image.info.items()}}
            )
        orientation = orientation_of(described)
        icc = described.info.get("icc_profile")
        srgb = "srgb" in image.info  # a chunk of PNG
        if signals.colours is None and not icc and not srgb:
            signals = replace(signals, colours=colours_of_exif(described))
        space, keep_icc = _colour_space(signals, icc, image.mode, name)
        pixels, alpha = copy_pixels(image, orientation, deep, name, space)
    if signals.gain_map:
        warn(f"{name}: the HDR gain map is left out")
    if frames > (2 if signals.gain_map else 1):
        warn(f"{name}: one frame of {frames} is kept")
    if (deep or signals.bits > 8) and image.mode not in WIDE_MODES:
        warn(f"{name}: {16 if deep else signals.bits}-bit samples are reduced to 8 bits{_white_lost(image, pixels)}")
    metadata = kept_metadata(described, image.mode, pixels.shape[2] == 1, name)
    told = signals.colours is not None or srgb or image.mode in APPROXIMATE_MODES
    if not keep_icc or (told and metadata.icc is None):
        metadata = metadata_of_srgb(metadata)
    return Raster(pixels, alpha, metadata)


def _white_lost(image: Image.Image, pixels: Pixels) -> str:
    """Return what a warning adds where the brightest samples may have become black.

    Pillow rounds deep samples of JPEG 2000 colours up to 256, of which 8 bits keep 0.
    """
    wrapped = image.format == "JPEG2000" and bool(((pixels == 0).any((0, 1)) & (pixels >= 250).any((0, 1))).any())
    return "; Pillow may have read the brightest ones as black" if wrapped else ""


def _colour_space(signals: FileSignals, icc: object, mode: str, name: str) -> tuple[ColourSpace | None, bool]:
    """Return what the numbers of an image mean where they become sRGB, and whether its ICC profile is kept.

    Where the colours are converted, or cannot be, there is a warning.

    Args:
        signals: What the file says.
        icc: The ICC profile, if there is one.
        mode: The mode of the pixels.
        name: What warnings call the image.
    """
    colours, profile = signals.colours, icc if isinstance(icc, bytes) and icc else None
    if colours is None or (profile is not None and not colours.over_icc) or mode in APPROXIMATE_MODES:
        return None, True
    if colours.space is None:
        warn(f"{name}: {colours.text} is left out, and the colours are taken as they are")
        return None, True
    if profile is not None and profile_says(profile, colours.space):
        return None, True
    if profile is not None:
        warn(f"{name}: the ICC profile is left out, because {colours.text} counts more")
    if colours.space.is_srgb:
        return None, profile is None
    warn(f"{name}: the colours are converted to sRGB by {colours.text}")
    return colours.space, profile is None


def from_array(array: NDArray[Any], *, name: str = "array") -> Raster:
    """Return an array as a `Raster`.

    A uint8 array's memory is shared, not copied. For 16-bit samples there is a `ConversionWarning`.

    Args:
        array: [H, W] or [H, W, C], of the kinds that `load` takes.
        name: What warnings and errors call it.

    Raises:
        InvalidInput: The array has another shape or type, or values out of range.
        ImageTooLarge: The array has more pixels than the limit.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InvalidInput(f"{name} must have shape [H, W] or [H, W, C] with C from 1 to 4, got {list(array.shape)}")
    height, width, channels = array.shape
    _check_size(width, height, name)
    levels = array if array.dtype == np.uint8 else to_levels(array, name)
    if channels in (1, 3):
        return Raster(np.ascontiguousarray(levels))
    return Raster(np.ascontiguousarray(levels[..., :-1]), np.ascontiguousarray(levels[..., -1]))


def _is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    # A tensor exists only where torch has been imported, so that this module need not import it to know one.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_tensor(tensor: torch.Tensor) -> Raster:
    """Return a tensor [H, W], [C, H, W] or [H, W, C] as a `Raster`; where two are possible, it is [C, H, W]."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    if tensor.ndim == 3 and tensor.shape[0] in (1, 2, 3, 4):
        tensor = tensor.permute(1, 2, 0)
    return from_array(tensor.numpy(), name="tensor")


def _count_frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:
        if not _is_closed(image):
            raise
        return 1  # its pixels may be loaded, but its file can be counted no more


@contextmanager
def _noticing_closed(image: Image.Image, name: str) -> Iterator[None]:
    """Say so where an image cannot be loaded because it is closed, for which Pillow has errors of many kinds."""
    try:
        yield
    except TacitError:
        raise
    except Exception as error:
        if _is_closed(image):
            raise InvalidInput(f"{name}: image must be open, got one that was closed before it was loaded") from error
        raise


def _is_closed(image: Image.Image) -> bool:
    try:
        file = getattr(image, "fp", image)  # only images of files have one
        with suppress(AssertionError):  # not loaded yet
            _ = image.im
        return file is None or bool(getattr(file, "closed", False))
    except ValueError:  # both are put off errors after `close`
        return True


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise InvalidInput(f"{name} must have at least 1x1 pixels, got {width}x{height}")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:
        raise ImageTooLarge(
            f"{name} must have at most {2 * limit} pixels (twice PIL.Image.MAX_IMAGE_PIXELS), "
            f"got {width}x{height} = {width * height}"
        )


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn everything that reading somebody's file can end in into errors of ours.

    Pillow's readers raise errors of many kinds (SyntaxError, struct.error, zlib.error, EOFError, IndexError and more)
    where a file is damaged.
    """
    try:
        yield
    except (TacitError, Warning, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{name}: {one_line(error)}") from error
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{name}: not an image that Pillow reads") from error
    except OSError as error:
        if error.errno is not None:
            raise PathError(f"{name}: {error.strerror}") from error
        raise InvalidInput(f"{name}: damaged image ({one_line(error)})") from error
    except Exception as error:
        raise InvalidInput(f"{name}: damaged image ({one_line(error)})") from error


def _name(filename: object) -> str:
    return filename if isinstance(filename, str) and filename else "image"
