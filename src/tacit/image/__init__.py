"""Photographs in and out: whatever a user has, as the arrays that the codec works on, and back.

`load` takes a Pillow image, a NumPy array, a tensor, a path, bytes or a file object and gives a `Raster`: upright 8-bit
RGB or grey pixels, alpha apart, and the metadata that a `.tacit` file keeps. `to_pil` is the way back. A conversion
that loses something says so with a `ConversionWarning`.

Pixels are copied in strips of rows, straight to where they belong in the upright picture, so that a photograph of 100
megapixels is in memory twice (Pillow's copy and ours) and never more.
"""

from __future__ import annotations

import io
import os
import re
import struct
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, cast
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from tacit.container import MAX_CAPTION, MAX_METADATA, Metadata
from tacit.errors import CorruptFile, ImageTooLarge, InvalidInput, PathError, TacitError

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]
ImageSource: TypeAlias = (
    "Raster | Image.Image | NDArray[Any] | torch.Tensor | str | os.PathLike[str]"
    " | bytes | bytearray | memoryview | BinaryIO"
)

EXIF_PREFIX = b"Exif\x00\x00"
"""What JPEG puts before EXIF. It is in Pillow's `info["exif"]` and not in a `Raster` or a `.tacit` file."""


class ConversionWarning(UserWarning):
    """Something of an image could not be kept as it was."""


@dataclass(frozen=True, eq=False)
class Raster:
    """An upright photograph, ready for the codec.

    pixels: uint8 [H, W, 3] (RGB) or [H, W, 1] (grey).
    alpha: uint8 [H, W], or None where the picture has no alpha channel (one of 255 everywhere is kept).
    metadata: `icc` as it was; `exif` as a TIFF structure whose orientation is 1; `xmp`, UTF-8; `caption`, what the
        image's own metadata says it shows.

    Raises: InvalidInput, where the arrays do not have these shapes.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3):
            raise InvalidInput(f"pixels are {self.pixels.dtype} {list(shape)}, expected uint8 [H, W, 3] or [H, W, 1]")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != shape[:2]):
            found = f"{self.alpha.dtype} {list(self.alpha.shape)}"
            raise InvalidInput(f"alpha is {found}, expected uint8 {list(shape[:2])}")
        if not self.pixels.size:
            raise InvalidInput(f"image is empty: {shape[1]} x {shape[0]} pixels")

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def mode(self) -> str:
        """Pillow's name for what this is: L, LA, RGB or RGBA."""
        return ("RGB" if self.pixels.shape[2] == 3 else "L") + ("" if self.alpha is None else "A")


def load(source: ImageSource) -> Raster:
    """Any image that a user may have, as a `Raster`.

    source: a `Raster` (returned as it is); a Pillow image (its current frame); an array [H, W] or [H, W, C] or a tensor
        [H, W], [C, H, W] or [H, W, C], with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA), as uint8, bool, uint16
        or floats in [0, 1]; or the path, the bytes or the binary file object of an image that Pillow reads (its first
        frame).

    The limit on pixels is Pillow's: twice `PIL.Image.MAX_IMAGE_PIXELS`.

    Raises: InvalidInput where this is not an image or is damaged; ImageTooLarge; PathError where a file cannot be read.
    Warns: ConversionWarning where something is lost.
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
        raise InvalidInput(f"no image in a value of type {type(source).__name__}")
    with _reading(name), Image.open(file) as image:
        return from_pil(image, name=name)


def from_pil(image: Image.Image, *, info: Mapping[str, Any] | None = None, name: str | None = None) -> Raster:
    """A Pillow image of any mode as a `Raster`, turned as its EXIF (or XMP) orientation says. It is left as it was.

    info: metadata to go by and to keep instead of the image's own; keys and values as in Pillow's `info`.
    name: what warnings and errors call the image; by default its file name.

    Raises, warns: as `load`.
    """
    name = name or _name(getattr(image, "filename", None))
    _check_size(*image.size, name)
    with _reading(name):
        frames = getattr(image, "n_frames", 1)
        deep = _is_deep(image)
        image.load()  # also reads metadata that stands behind the pixels
        described = image if info is None else _describing(info)
        orientation = _orientation(described)
        pixels, alpha = _copy_pixels(image, orientation, deep, name)
    if frames > 1:
        _warn(f"{name}: one frame of {frames} is kept")
    if deep:
        _warn(f"{name}: 16-bit samples are reduced to 8 bits")
    return Raster(pixels, alpha, _metadata(described, image.mode, pixels.shape[2] == 1, name))


def from_array(array: NDArray[Any], *, name: str = "array") -> Raster:
    """An array [H, W] or [H, W, C] as a `Raster`: see `load`. A uint8 array's memory is shared, not copied.

    Raises: InvalidInput, ImageTooLarge. Warns: ConversionWarning for 16-bit samples.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InvalidInput(f"{name} has shape {list(array.shape)}, expected [H, W] or [H, W, C] with C from 1 to 4")
    height, width, channels = array.shape
    _check_size(width, height, name)
    levels = array if array.dtype == np.uint8 else _levels(array, name)
    if channels in (1, 3):
        return Raster(np.ascontiguousarray(levels))
    return Raster(np.ascontiguousarray(levels[..., :-1]), np.ascontiguousarray(levels[..., -1]))


def to_pil(photo: Raster) -> Image.Image:
    """A `Raster` as a Pillow image of mode L, LA, RGB or RGBA.

    Metadata is in `info` as Pillow's own plugins leave it: `icc_profile`, `exif`, `xmp`; and `caption`.
    """
    grey = photo.pixels.shape[2] == 1
    image = Image.fromarray(photo.pixels[..., 0] if grey else photo.pixels)
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    image.info.update(pil_info(photo.metadata))
    return image


def pil_info(metadata: Metadata) -> dict[str, Any]:
    """The entries of Pillow's `Image.info` for the metadata of a `.tacit` file."""
    entries = {
        "icc_profile": metadata.icc,
        # With JPEG's prefix, because that is what Pillow's JPEG writer wants and the others accept.
        "exif": EXIF_PREFIX + metadata.exif if metadata.exif else None,
        "xmp": metadata.xmp,
        "caption": metadata.caption,
    }
    return {key: value for key, value in entries.items() if value is not None}


# --- pixels -----------------------------------------------------------------------------------------------------------

_STRIP_PIXELS = 1 << 20

# Conversions between colour spaces that are not exact, and those of values that 8 bits do not hold. P, PA, 1, RGBX, and
# premultiplied alpha become RGB, L and plain alpha with nothing to tell.
_APPROXIMATE = {"CMYK", "YCbCr", "LAB", "HSV"}
_TRANSPARENT_COLOUR = {"1", "L", "P", "RGB", "I", "I;16", "I;16B", "I;16L"}


def _copy_pixels(image: Image.Image, orientation: int, deep: bool, name: str) -> tuple[Pixels, Pixels | None]:
    """The picture, upright: pixels [H, W, 1 or 3] and alpha [H, W] or None."""
    mode = image.mode
    grey = mode in ("1", "L", "LA", "La", "I", "F") or mode.startswith("I;16")
    has_alpha = mode in ("LA", "La", "PA", "RGBA", "RGBa") or (
        mode in _TRANSPARENT_COLOUR and image.has_transparency_data
    )
    colours = 1 if grey else 3
    convert = _strip_converter(image, ("L" if grey else "RGB") + ("A" if has_alpha else ""), deep, name)

    width, height = image.size
    upright = (width, height) if orientation >= 5 else (height, width)
    pixels = np.empty((*upright, colours), np.uint8)
    alpha = np.empty(upright, np.uint8) if has_alpha else None
    # Views of the upright arrays in the order in which the file has its rows: turning the picture costs no copy.
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
    """A view [h, w, ...] of an upright array, in the row and column order of a file with this EXIF orientation."""
    if orientation >= 5:
        upright = upright.swapaxes(0, 1)
    if orientation in (3, 4, 6, 7):
        upright = upright[::-1]
    if orientation in (2, 3, 7, 8):
        upright = upright[:, ::-1]
    return upright


def _strip_converter(image: Image.Image, target: str, deep: bool, name: str) -> Callable[[Image.Image], Pixels]:
    """What turns a strip of `image` into uint8 [h, W] or [h, W, C] of mode `target`; warns of what that loses."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _wide_converter(image, target, name)
    if mode in _APPROXIMATE:
        transform = _cmyk_transform(image, name) if mode == "CMYK" else None
        if transform is not None:
            _warn(f"{name}: CMYK is converted to sRGB by its ICC profile")
            return lambda strip: np.asarray(transform.apply(strip))
        _warn(f"{name}: {mode} is converted to RGB")
    transparency = image.info.get("transparency")
    if deep and isinstance(transparency, tuple):
        # The transparent colour of a 16-bit PNG has 16 bits where Pillow's pixels have kept the upper 8.
        transparency = tuple(level >> 8 for level in transparency)

    def convert(strip: Image.Image) -> Pixels:
        if strip.mode != target:
            if transparency is not None:
                strip.info["transparency"] = transparency
            strip = strip.convert(target)
        return np.asarray(strip)

    return convert


def _wide_converter(image: Image.Image, target: str, name: str) -> Callable[[Image.Image], Pixels]:
    """Strips of the modes I, I;16 and F, whose numbers do not say which one is white."""
    if image.mode.startswith("I;16"):
        white = 65535.0
        _warn(f"{name}: 16-bit samples are reduced to 8 bits")
    else:
        low, high = image.getextrema()
        choices = (1.0, 255.0) if image.mode == "F" else (255.0, 65535.0)
        white = choices[0] if isinstance(high, (int, float)) and high <= choices[0] else choices[1]
        lost = ", what lies outside is clipped" if low < 0 or high > white else ""  # type: ignore[operator]
        _warn(f"{name}: mode {image.mode} is reduced to 8 bits, taking 0 as black and {white:g} as white{lost}")
    transparent = image.info.get("transparency")

    def convert(strip: Image.Image) -> Pixels:
        values: NDArray[Any] = np.asarray(strip)
        scaled: NDArray[np.float32] = np.nan_to_num(
            values.astype(np.float32) * np.float32(255 / white), posinf=255.0, neginf=0.0
        )
        grey: Pixels = np.rint(scaled.clip(0, 255)).astype(np.uint8)
        if target == "L":
            return grey
        return np.stack([grey, np.where(values == transparent, 0, 255).astype(np.uint8)], axis=-1)

    return convert


def _cmyk_transform(image: Image.Image, name: str) -> ImageCms.ImageCmsTransform | None:
    """From CMYK to sRGB by the image's profile; None without one that serves."""
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError, ImportError) as error:  # ImportError: a Pillow built without LittleCMS
        _warn(f"{name}: the ICC profile cannot be used ({_one_line(error)})")
        return None


def _is_deep(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet has colours of more than 8 bits: Pillow is about to drop the rest."""
    if image.mode not in ("RGB", "RGBA", "CMYK", "LA"):
        return False
    for codec, _, _, args in getattr(image, "tile", ()):
        arguments = args if isinstance(args, tuple) else (args,)
        if any(isinstance(argument, str) and ";16" in argument for argument in arguments):
            return True
        if codec.startswith("ppm") and isinstance(arguments[-1], int) and arguments[-1] > 255:
            return True
    return False


def _is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    # A tensor exists only where torch has been imported: this module need not do so to know one.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_tensor(tensor: torch.Tensor) -> Raster:
    """A tensor [H, W], [C, H, W] or [H, W, C]; where both could be meant, [C, H, W]."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    if tensor.ndim == 3 and tensor.shape[0] in (1, 2, 3, 4):
        tensor = tensor.permute(1, 2, 0)
    return from_array(tensor.numpy(), name="tensor")


def _levels(array: NDArray[Any], name: str) -> Pixels:
    """[H, W, C] of bools, 16-bit samples or floats in [0, 1] as uint8 levels."""
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype != np.uint16 and array.dtype.kind != "f":
        raise InvalidInput(f"{name} is of {array.dtype}, expected uint8, bool, uint16 or floats in [0, 1]")
    levels = np.empty(array.shape, np.uint8)
    for rows in _strips(array.shape[1], array.shape[0]):
        if array.dtype == np.uint16:
            levels[rows] = (array[rows].astype(np.uint32) * 255 + 32767) // 65535
            continue
        scaled = np.rint(array[rows].astype(np.float32) * np.float32(255))
        # Overshoot of less than half a level rounds into the range, more is somebody's other scale. NaN fails too.
        if not ((scaled >= 0) & (scaled <= 255)).all():
            found = f"{np.nanmin(array):.6g} to {np.nanmax(array):.6g}" if not np.isnan(array).any() else "NaN"
            raise InvalidInput(f"{name} of floats has {found}, expected values in [0, 1]")
        levels[rows] = scaled
    if array.dtype == np.uint16:
        _warn(f"{name}: 16-bit samples are reduced to 8 bits")
    return levels


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise InvalidInput(f"{name} is empty: {width} x {height} pixels")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:
        raise ImageTooLarge(
            f"{name} has {width} x {height} = {width * height} pixels, the limit is {2 * limit} "
            "(twice PIL.Image.MAX_IMAGE_PIXELS)"
        )


# --- alpha ------------------------------------------------------------------------------------------------------------

_CONSTANT, _PNG = 0, 1
# An 8-bit greyscale PNG, by its first 26 bytes: signature, length and type of IHDR, width, height, depth, colour type.
_PNG_START = struct.Struct(">8sI4sIIBB")


def encode_alpha(alpha: Pixels) -> bytes:
    """The payload of the alpha chunk, lossless, for alpha uint8 [H, W]: one byte if it is constant, otherwise a PNG."""
    if alpha.min() == alpha.max():
        return bytes([_CONSTANT, alpha.flat[0]])
    stream = io.BytesIO()
    stream.write(bytes([_PNG]))
    Image.fromarray(np.ascontiguousarray(alpha)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def decode_alpha(payload: bytes, width: int, height: int) -> Pixels:
    """Alpha uint8 [height, width] from the payload of an alpha chunk.

    Raises: CorruptFile. Nothing is allocated before the payload is known to promise this size.
    """
    if not payload:
        raise CorruptFile("alpha: empty")
    method, data = payload[0], payload[1:]
    if method == _CONSTANT:
        if len(data) != 1:
            raise CorruptFile(f"alpha: {len(data)} bytes of constant, expected 1")
        return np.full((height, width), data[0], np.uint8)
    if method != _PNG:
        raise CorruptFile(f"alpha: unknown method {method}")
    expected = (b"\x89PNG\r\n\x1a\n", 13, b"IHDR", width, height, 8, 0)
    if len(data) < _PNG_START.size or _PNG_START.unpack_from(data) != expected:
        raise CorruptFile(f"alpha: not an 8-bit greyscale PNG of {width} x {height}")
    try:
        # Not Image.open: its limit on pixels is not that of whoever reads this file.
        with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
            return np.array(image.convert("L") if image.mode != "L" else image)
    except (Warning, MemoryError):
        raise
    except Exception as error:  # Pillow's PNG reader answers damage with errors of many kinds
        raise CorruptFile(f"alpha: damaged PNG ({_one_line(error)})") from error


# --- metadata ---------------------------------------------------------------------------------------------------------

# What a TIFF says about the photograph, apart from what it says about its own strips and samples.
_PHOTO_TAGS = {
    *(270, 271, 272, 282, 283, 296, 305, 306, 315, 316),  # description, make, model, resolution, software, date, artist
    *(18246, 18249, 33432),  # rating, rating in percent, copyright
    *(40091, 40092, 40093, 40094, 40095),  # title, comment, author, keywords, subject, as Windows writes them
    *(ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo),
}
# What cameras and programs write into ImageDescription where nobody has described anything.
_PLACEHOLDER = re.compile(
    r"(?:[\w ]*digital (?:still )?camera|sony dsc|exif_jpeg_picture|default|untitled|dcim[/\\].*|imagej=.*|\{.*)\s*\Z",
    re.IGNORECASE | re.DOTALL,
)


def caption_from_metadata(image: Image.Image) -> str | None:
    """What an image says of itself: a `.tacit` file's caption, XMP dc:description, IPTC alternative text (in XMP), EXIF
    ImageDescription, the first there is. Phrases that cameras put there by themselves do not count."""
    texts = _descriptions(image)
    captions = (_clean_caption(text) for text in texts if isinstance(text, str))
    return next((caption for caption in captions if caption and not _PLACEHOLDER.match(caption)), None)


def _descriptions(image: Image.Image) -> Iterator[object]:
    yield image.info.get("caption")
    xmp = _xmp(image)
    if xmp is not None:
        yield from _xmp_descriptions(xmp)
    try:
        description = image.getexif().get(ExifTags.Base.ImageDescription)
    except (Warning, MemoryError):
        raise
    except Exception:  # Pillow's parser answers broken EXIF with errors of many kinds; _exif tells of it
        return
    if isinstance(description, str):
        try:  # EXIF asks for ASCII, Pillow reads Latin-1, and what is there is mostly UTF-8.
            description = description.encode("latin-1").decode("utf-8")
        except UnicodeError:
            pass
    yield description


def _describing(info: Mapping[str, Any]) -> Image.Image:
    """An image without pixels that has this metadata."""
    image = Image.Image()
    image.info.update(info)
    return image


def _metadata(image: Image.Image, mode: str, grey: bool, name: str) -> Metadata:
    """What is kept of an image's metadata. mode: that of the pixels as they were; grey: what they have become."""
    xmp = _xmp(image)
    if xmp is not None:
        xmp = re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>)\s*)[0-9]', rb"\g<1>1", xmp)
    kept = {"ICC profile": _icc(image, mode, grey, name), "EXIF": _exif(image, name), "XMP": xmp}
    for kind, data in kept.items():
        if data is not None and len(data) > MAX_METADATA:
            _warn(f"{name}: {kind} of {len(data)} bytes is dropped, the limit is {MAX_METADATA}")
            kept[kind] = None
    caption = caption_from_metadata(image)
    if caption is not None and len(caption.encode()) > MAX_CAPTION:
        _warn(f"{name}: the caption in its metadata is cut to {MAX_CAPTION} bytes")
        caption = caption.encode()[:MAX_CAPTION].decode(errors="ignore")
    return Metadata(caption=caption, icc=kept["ICC profile"], exif=kept["EXIF"], xmp=kept["XMP"])


def _icc(image: Image.Image, mode: str, grey: bool, name: str) -> bytes | None:
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not profile or mode in ("CMYK", "LAB"):
        return None  # CMYK and LAB were converted to sRGB, which needs no profile
    space = profile[16:20]
    if space != (b"GRAY" if grey else b"RGB "):
        _warn(f"{name}: an ICC profile for {space.decode('ascii', 'replace').strip()!r} pixels is dropped")
        return None
    return profile


def _xmp(image: Image.Image) -> bytes | None:
    for key in ("xmp", "XML:com.adobe.xmp"):
        packet = image.info.get(key)
        if isinstance(packet, str):
            packet = packet.encode("utf-8", "replace")
        if isinstance(packet, bytes) and packet.strip(b"\0 \r\n\t"):
            return packet
    return None


def _exif(image: Image.Image, name: str) -> bytes | None:
    """EXIF as a TIFF structure. Bytes that the file had are kept as they are, but for the orientation: if they were
    written anew, the offsets inside makers' notes would no longer hold."""
    data = image.info.get("exif")
    try:
        if not isinstance(data, bytes):
            exif = image.getexif()  # a TIFF's own tags, or the hexadecimal form that ImageMagick puts into PNG
            kept = Image.Exif()
            kept.endian = exif.endian
            for tag in _PHOTO_TAGS & set(exif):
                kept[tag] = exif.get_ifd(tag) if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) else exif[tag]
            return strip_exif_prefix(kept.tobytes()) if len(kept) else None
        data = strip_exif_prefix(data)
        if not data:
            return None
        data = _reset_orientation(data)
        check = Image.Exif()
        check.load(data)
        if check.get(ExifTags.Base.Orientation, 1) != 1:
            raise ValueError("the orientation cannot be reset")
        return data
    except (Warning, MemoryError):
        raise
    except Exception as error:  # Pillow's parser answers broken EXIF with errors of many kinds
        _warn(f"{name}: unreadable EXIF is dropped ({_one_line(error)})")
        return None


def strip_exif_prefix(exif: bytes) -> bytes:
    """EXIF without JPEG's prefix, as a `.tacit` file has it."""
    return exif[len(EXIF_PREFIX) :] if exif.startswith(EXIF_PREFIX) else exif


def _orientation(image: Image.Image) -> int:
    """1 to 8, from EXIF or else XMP, as Pillow's `exif_transpose` finds it."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (Warning, MemoryError):
        raise
    except Exception:  # broken EXIF: the picture is what counts, and _exif tells of it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _reset_orientation(exif: bytes) -> bytes:
    """The same EXIF with orientation 1, changed in place. Raises struct.error where the structure is cut short."""
    order = "<" if exif.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    changed = bytearray(exif)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", exif, entry)
        size = {1: "B", 3: "H", 4: "I"}.get(kind)  # BYTE, SHORT (what it should be), LONG
        if tag == ExifTags.Base.Orientation and size is not None:
            struct.pack_into(order + size, changed, entry + 8, 1)
    return bytes(changed)


_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_XMP_PROPERTIES = (
    "{http://purl.org/dc/elements/1.1/}description",
    "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}AltTextAccessibility",
)


def _xmp_descriptions(packet: bytes) -> Iterator[str | None]:
    text = packet.decode("utf-8", "replace").strip("\0\ufeff \r\n\t")
    if "<!DOCTYPE" in text:
        return  # XMP has none, and entities are what an XML bomb is made of
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return
    rdf = root if root.tag == _RDF + "RDF" else root.find(f".//{_RDF}RDF")
    if rdf is None:
        return
    for name in _XMP_PROPERTIES:
        for description in rdf.iterfind(_RDF + "Description"):
            yield description.get(name)
            element = description.find(name)
            if element is None:
                continue
            languages = sorted(element.iter(_RDF + "li"), key=_language_rank)
            yield from (item.text for item in languages)
            yield element.text


def _language_rank(item: ElementTree.Element) -> int:
    language = item.get(_LANGUAGE, "").lower()
    return 0 if language == "x-default" else 1 if language.startswith("en") else 2


def _clean_caption(text: str) -> str:
    """Without what a caption in a file may not have: control characters (but tab and line ends) and lone surrogates."""
    return "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) not in ("Cc", "Cs")).strip()


# --- errors and warnings ----------------------------------------------------------------------------------------------


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Everything that reading somebody's file can end in, as errors of ours. Pillow's readers raise errors of many
    kinds (SyntaxError, struct.error, zlib.error, EOFError, IndexError and more) where a file is damaged."""
    try:
        yield
    except (TacitError, Warning, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{name}: {_one_line(error)}") from error
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{name}: not an image of a known format") from error
    except OSError as error:
        if error.errno is not None:
            raise PathError(f"{name}: {error.strerror}") from error
        raise InvalidInput(f"{name}: damaged image ({_one_line(error)})") from error
    except Exception as error:
        raise InvalidInput(f"{name}: damaged image ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _name(filename: object) -> str:
    return filename if isinstance(filename, str) and filename else "image"


def _warn(message: str) -> None:
    warnings.warn(message, ConversionWarning, stacklevel=3)
