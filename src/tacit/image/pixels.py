"""Pixels of every kind as 8-bit levels: the modes of Pillow, and the samples of arrays."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tacit.errors import InvalidInput
from tacit.image.colours import ColourSpace
from tacit.image.messages import one_line, warn
from tacit.image.raster import Pixels

_STRIP_PIXELS = 1 << 20  # pixels that are converted at a time

# Colour spaces whose conversion to RGB is not exact. P, PA, 1, RGBX and premultiplied alpha become RGB, L and plain
# alpha with nothing to warn of.
APPROXIMATE_MODES = {"CMYK", "YCbCr", "LAB", "HSV"}
"""Pillow's modes of other colour spaces than RGB and grey."""
WIDE_MODES = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
"""Pillow's modes of more than 8 bits, all of them grey."""
# Modes in which one colour may be transparent.
_TRANSPARENT_COLOUR = {"1", "L", "P", "RGB", "I", "I;16", "I;16B", "I;16L"}
_WHITE_32 = 4294967295.0
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF


def copy_pixels(
    image: Image.Image, orientation: int, deep: bool, name: str, space: ColourSpace | None = None
) -> tuple[Pixels, Pixels | None]:
    """Copy the pixels of an image, upright and of 8 bits.

    Args:
        image: The image, loaded.
        orientation: The EXIF orientation of its rows and columns, 1 to 8.
        deep: Whether it had more than 8 bits before Pillow loaded it.
        name: What warnings call the image.
        space: What its numbers mean, where they are to become sRGB.

    Returns:
        The colours, uint8 [H, W, 1 or 3], and alpha, uint8 [H, W] or None.
    """
    mode = image.mode
    grey = mode in {"1", "L", "LA", "La"} | WIDE_MODES
    has_alpha = mode in ("LA", "La", "PA", "RGBA", "RGBa") or (
        mode in _TRANSPARENT_COLOUR and image.has_transparency_data
    )
    colours = 1 if grey else 3
    convert = _strip_converter(image, ("L" if grey else "RGB") + ("A" if has_alpha else ""), deep, name, space)

    width, height = image.size
    upright = (width, height) if orientation >= 5 else (height, width)
    pixels = np.empty((*upright, colours), np.uint8)
    alpha = np.empty(upright, np.uint8) if has_alpha else None
    # Views of the upright arrays in the order in which the file has its rows: turning the image costs no copy.
    stored_pixels = _as_stored(pixels, orientation)
    stored_alpha = None if alpha is None else _as_stored(alpha, orientation)
    for rows in _strips(width, height):
        strip = convert(image.crop((0, rows.start, width, rows.stop)))
        strip = strip.reshape(rows.stop - rows.start, width, -1)  # L: [h, W] -> [h, W, 1]
        stored_pixels[rows] = strip[..., :colours]
        if stored_alpha is not None:
            stored_alpha[rows] = strip[..., colours]
    return pixels, alpha


def _strips(width: int, height: int) -> Iterator[slice]:
    rows = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _as_stored(upright: Pixels, orientation: int) -> Pixels:
    """Return a view [h, w, ...] of an upright array, in the order of rows and columns that this orientation means."""
    if orientation >= 5:
        upright = upright.swapaxes(0, 1)
    if orientation in (3, 4, 6, 7):
        upright = upright[::-1]
    if orientation in (2, 3, 7, 8):
        upright = upright[:, ::-1]
    return upright


def _strip_converter(
    image: Image.Image, target: str, deep: bool, name: str, space: ColourSpace | None
) -> Callable[[Image.Image], Pixels]:
    """Return a function that turns a strip of `image` into uint8 [h, W] or [h, W, C] of mode `target`.

    What the conversion loses is warned of here, once.
    """
    mode = image.mode
    if mode in WIDE_MODES:
        return _wide_converter(image, target, name, space)
    if mode in APPROXIMATE_MODES:
        transform = _cmyk_transform(image, name) if mode == "CMYK" else None
        if transform is not None:
            warn(f"{name}: CMYK is converted to sRGB by its ICC profile")
            return lambda strip: np.asarray(transform.apply(strip))
        warn(f"{name}: {mode} is converted to RGB")
    transparency = image.info.get("transparency")
    if deep and isinstance(transparency, tuple):
        # The transparent colour of a 16-bit PNG has 16 bits where Pillow's pixels have kept the upper 8.
        transparency = tuple(level >> 8 for level in transparency)

    def convert(strip: Image.Image) -> Pixels:
        if strip.mode != target:
            if transparency is not None:
                strip.info["transparency"] = transparency
            strip = strip.convert(target)
        levels: Pixels = np.asarray(strip)
        if space is None:
            return levels
        levels = levels.reshape(strip.height, strip.width, -1)
        colours = 3 if target.startswith("RGB") else 1
        return np.concatenate([space.levels(levels[..., :colours]), levels[..., colours:]], axis=-1)

    return convert


def _wide_converter(
    image: Image.Image, target: str, name: str, space: ColourSpace | None
) -> Callable[[Image.Image], Pixels]:
    """Return the function for strips of the modes I, I;16 and F.

    Raises:
        InvalidInput: Most of the image is brighter than white, so that its numbers must be of another scale.
    """
    white, inverted = _declared_white(image)
    # Pillow holds unsigned samples of 32 bits in signed ones.
    unsigned = white == _WHITE_32
    _warn_of_wide(image, white, unsigned, name)
    transparent = image.info.get("transparency")

    def convert(strip: Image.Image) -> Pixels:
        values: NDArray[Any] = np.asarray(strip)
        if unsigned:
            values = values.view(np.uint32)
        # 32-bit integers are more than float32 can hold, and lose nothing that 8 bits would show.
        scaled: NDArray[np.float32] = np.nan_to_num(
            values.astype(np.float32) * np.float32(255 / white), posinf=255.0, neginf=0.0
        )
        if space is not None:
            scaled = 255 * space.greys(scaled / np.float32(255))
        grey: Pixels = np.rint(scaled.clip(0, 255)).astype(np.uint8)
        if inverted:
            grey = 255 - grey
        if target == "L":
            return grey
        return np.stack([grey, np.where(values == transparent, 0, 255).astype(np.uint8)], axis=-1)

    return convert


def _declared_white(image: Image.Image) -> tuple[float, bool]:
    """Return which number is white in an image of mode I, I;16 or F, and whether 0 is white and that number black.

    The type of the samples and the depth that a TIFF file declares say it, never the numbers themselves: floats are in
    [0, 1], integers of 16 bits up to 65535, and mode I holds 16 bits, as where Pillow reads or writes PGM and PNG.
    """
    tags = getattr(image, "tag_v2", {})  # only TIFF files have them
    depth, kind = (_first(tags.get(tag), 0) for tag in (_BITS_PER_SAMPLE, _SAMPLE_FORMAT))
    inverted = tags.get(_PHOTOMETRIC) == 0  # Pillow inverts 8 bits and fewer only
    if image.mode == "F":
        return 1.0, inverted
    if image.mode == "I" and (depth, kind or 1) == (32, 1):
        return _WHITE_32, inverted
    if image.mode == "I" and (depth, kind) == (16, 2):
        return 32767.0, inverted
    if image.mode.startswith("I;16") and depth == 12:
        return 4095.0, inverted
    return 65535.0, inverted


def _first(values: Any, default: int) -> int:
    value = values[0] if isinstance(values, tuple) and values else values
    return value if isinstance(value, int) else default


def _warn_of_wide(image: Image.Image, white: float, unsigned: bool, name: str) -> None:
    """Warn that samples are reduced to 8 bits, and of what lies outside of black and white."""
    if image.mode.startswith("I;16") and white == 65535:
        warn(f"{name}: 16-bit samples are reduced to 8 bits", stacklevel=4)
        return
    low = high = 0.0
    bright = lit = 0
    for rows in _strips(*image.size):
        values: NDArray[Any] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
        if unsigned:
            values = values.view(np.uint32)
        values = values[values == values]  # without NaN
        low, high = min(low, float(values.min(initial=0))), max(high, float(values.max(initial=0)))
        bright += int((values > white).sum())
        lit += int((values > 0).sum())
    if bright > lit / 2:
        # Overshoot and lights are brighter than white, but not most of an image: its numbers count in other units.
        raise InvalidInput(f"{name} of mode {image.mode} must have values from 0 to {white:g}, got up to {high:g}")
    lost = ", and clipping what lies outside" if low < 0 or high > white else ""
    warn(
        f"{name}: mode {image.mode} is reduced to 8 bits, taking 0 as black and {white:g} as white{lost}", stacklevel=4
    )


def _cmyk_transform(image: Image.Image, name: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from CMYK to sRGB by the image's profile, or None without a profile that can be used."""
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError, ImportError) as error:  # ImportError: a Pillow built without LittleCMS
        warn(f"{name}: the ICC profile cannot be used ({one_line(error)})")
        return None


def is_deep(image: Image.Image) -> bool:
    """Return whether an image that is not loaded yet has colours of more than 8 bits, which Pillow drops on loading."""
    if image.mode not in ("RGB", "RGBA", "CMYK", "LA"):
        return False
    for codec, _, _, args in getattr(image, "tile", ()):
        arguments = args if isinstance(args, tuple) else (args,)
        if any(isinstance(argument, str) and ";16" in argument for argument in arguments):
            return True
        if codec.startswith("ppm") and isinstance(arguments[-1], int) and arguments[-1] > 255:
            return True
    return False


def to_levels(array: NDArray[Any], name: str) -> Pixels:
    """Return an array [H, W, C] of bools, 16-bit samples or floats in [0, 1] as uint8 levels.

    Args:
        array: The samples.
        name: What warnings and errors call the array.

    Raises:
        InvalidInput: The samples are of another type, or out of range.
    """
    dtype = array.dtype.newbyteorder("=")  # NumPy converts the other byte order where it computes
    if dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    if dtype != np.uint16 and dtype.kind != "f":
        raise InvalidInput(f"{name} must be of uint8, bool, uint16 or floats in [0, 1], got {array.dtype}")
    levels = np.empty(array.shape, np.uint8)
    for rows in _strips(array.shape[1], array.shape[0]):
        if dtype == np.uint16:
            levels[rows] = (array[rows].astype(np.uint32) * 255 + 32767) // 65535
            continue
        scaled = np.rint(array[rows].astype(np.float32) * np.float32(255))
        # Overshoot of less than half a level rounds into the range, more is somebody's other scale. NaN fails too.
        if not ((scaled >= 0) & (scaled <= 255)).all():
            extent = f"{np.nanmin(array):.6g} to {np.nanmax(array):.6g}" if not np.isnan(array).any() else "NaN"
            raise InvalidInput(f"{name} of floats must have values in [0, 1], got {extent}")
        levels[rows] = scaled
    if dtype == np.uint16:
        warn(f"{name}: 16-bit samples are reduced to 8 bits")
    return levels
