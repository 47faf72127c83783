"""Every kind of image that people have, in and back out."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from tacit.container import MAX_CAPTION, MAX_METADATA, Metadata
from tacit.errors import CorruptFile, ImageTooLarge, InvalidInput, PathError
from tacit.image import (
    ConversionWarning,
    Raster,
    caption_from_metadata,
    decode_alpha,
    encode_alpha,
    from_pil,
    load,
    to_pil,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def reopened(image: Image.Image, form: str = "PNG", **options: object) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, form, **options)))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG that Pillow cannot write. rows: samples, big-endian; more: chunks before the pixels."""
    stride = len(rows) // height
    raw = b"".join(b"\0" + rows[top : top + stride] for top in range(0, len(rows), stride))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def exif_with(**tags: object) -> Image.Exif:
    exif = Image.Exif()
    for name, value in tags.items():
        exif[ExifTags.Base[name]] = value
    return exif


def xmp_with(body: str, attributes: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
        f' xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/" {attributes}>{body}'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def languages(name: str, **words: str) -> str:
    items = "".join(f'<rdf:li xml:lang="{lang.replace("_", "-")}">{text}</rdf:li>' for lang, text in words.items())
    return f"<{name}><rdf:Alt>{items}</rdf:Alt></{name}>"


# Modes that come back as they were


@pytest.mark.parametrize(("mode", "channels"), [("L", 0), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
@settings(max_examples=10, deadline=None)
@given(width=st.integers(1, 70), height=st.integers(1, 70), seed=st.integers(0, 99))
def test_kept_modes_come_back_equal(mode: str, channels: int, width: int, height: int, seed: int) -> None:
    image = Image.fromarray(noise(height, width, *([channels] if channels else []), seed=seed))
    assert image.mode == mode
    for source in (image, saved(image)):
        photo = load(source)
        assert (photo.width, photo.height, photo.mode) == (width, height, mode)
        back = to_pil(photo)
        assert (back.mode, back.size, back.tobytes()) == (mode, image.size, image.tobytes())


def test_pixels_of_several_strips_come_back_equal() -> None:
    array = noise(1 << 11, 700, 4)  # 1.4 megapixels: more than one strip, the last one shorter
    photo = load(Image.fromarray(array))
    assert np.array_equal(photo.pixels, array[..., :3])
    assert np.array_equal(photo.alpha, array[..., 3])


def test_opaque_alpha_is_kept() -> None:
    photo = load(Image.new("RGBA", (3, 2), (1, 2, 3, 255)))
    assert photo.mode == "RGBA"
    assert encode_alpha(photo.alpha) == b"\0\xff"


# Modes that are converted


@pytest.mark.parametrize(
    ("mode", "colour", "kept_mode", "kept"),
    [
        ("1", 1, "L", 255),
        ("RGBX", (1, 2, 3, 9), "RGB", (1, 2, 3)),
        ("RGBa", (50, 100, 0, 128), "RGBA", (99, 199, 0, 128)),
        ("La", (50, 128), "LA", (99, 128)),
    ],
)
def test_exact_conversions_do_not_warn(mode: str, colour: object, kept_mode: str, kept: object) -> None:
    image = to_pil(load(Image.new(mode, (2, 2), colour)))
    assert image.mode == kept_mode
    assert image.getpixel((1, 1)) == kept


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    return image


@pytest.mark.parametrize(
    ("transparency", "alpha"), [(None, None), (1, [255, 0, 255]), (b"\x00\x80\xff", [0, 128, 255])]
)
@pytest.mark.parametrize("form", ["memory", "PNG"])
def test_palette(form: str, transparency: object, alpha: list[int] | None) -> None:
    image = palette_image()
    if transparency is not None:
        image.info["transparency"] = transparency
    photo = load(image if form == "memory" else saved(image))
    assert photo.pixels[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert (photo.alpha if photo.alpha is None else photo.alpha[0].tolist()) == alpha


def test_palette_with_alpha_channel() -> None:
    image = palette_image().convert("PA")
    image.putalpha(Image.fromarray(np.array([[1, 2, 3]], np.uint8)))
    photo = load(image)
    assert photo.pixels[0, 2].tolist() == [70, 80, 90]
    assert photo.alpha[0].tolist() == [1, 2, 3]


def test_gif() -> None:
    photo = load(saved(palette_image(), "GIF", transparency=0))
    assert photo.pixels[0, 1:].tolist() == [[40, 50, 60], [70, 80, 90]]
    assert photo.alpha[0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("mode", "colours", "transparent"),
    [("1", [0, 255], 255), ("L", [7, 9], 9), ("RGB", [(1, 2, 3), (4, 5, 6)], (4, 5, 6))],
)
def test_transparent_colour(mode: str, colours: list[object], transparent: object) -> None:
    image = Image.new(mode, (2, 1))
    image.putdata(colours)
    photo = load(saved(image, transparency=transparent))
    assert photo.alpha.tolist() == [[255, 0]]
    assert photo.pixels.reshape(2, -1).tolist() == np.array(colours).reshape(2, -1).tolist()


def test_cmyk_without_profile() -> None:
    image = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    with pytest.warns(ConversionWarning, match="CMYK is converted to RGB"):
        photo = load(image)
    assert photo.pixels[0, 0].tolist() == [0, 255, 255]


def test_cmyk_with_unusable_profile_is_converted_without_it() -> None:
    image = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    image.info["icc_profile"] = SRGB  # not of CMYK
    with pytest.warns(ConversionWarning) as seen:
        photo = load(image)
    assert ["ICC profile cannot be used" in str(w.message) for w in seen] == [True, False]
    assert photo.pixels[0, 0].tolist() == [0, 255, 255]
    assert photo.metadata.icc is None


def cmyk_profile() -> bytes:
    """An ICC profile by which ink makes grey: lightness 100 (1 - K) (1 - (C + M + Y) / 3), corner by corner of CMYK."""
    ramp = bytes(range(256))
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = b"".join(bytes([round(255 * (1 - k) * (1 - (c + m + y) / 3)), 128, 128]) for c, m, y, k in corners)
    one = 1 << 16
    lut = b"mft1\0\0\0\0\4\3\2\0" + struct.pack(">9I", one, 0, 0, 0, one, 0, 0, 0, one) + ramp * 4 + table + ramp * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    header = struct.pack(">I4sI4s4s4s12s4s", 144 + len(lut), b"", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"", b"acsp")
    white = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(68, b"\0") + white.ljust(60, b"\0") + tags + lut


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_cmyk_with_profile_is_converted_by_it(form: str) -> None:
    image = Image.new("CMYK", (24, 8))
    for left, ink in [(0, (0, 0, 0, 0)), (8, (0, 0, 0, 255)), (16, (255, 0, 0, 0))]:
        image.paste(ink, (left, 0, left + 8, 8))
    data = saved(image, form, icc_profile=cmyk_profile())
    with pytest.warns(ConversionWarning, match="converted to sRGB by its ICC profile"):
        photo = load(data)
    # Pillow's own rule would make the cyan (0, 255, 255); lightness 66.7 is sRGB 162.
    assert np.abs(photo.pixels[4, [4, 12, 20]].astype(int) - [[255] * 3, [0] * 3, [162] * 3]).max() <= 2
    assert photo.metadata.icc is None


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB"])
def test_other_colour_spaces(mode: str) -> None:
    plain = Image.new("RGB", (4, 3), (200, 100, 50))
    with pytest.warns(ConversionWarning, match=f"{mode} is converted to RGB"):
        photo = load(plain.convert(mode))
    assert np.abs(photo.pixels.astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF", "memory"])
def test_16_bit_grey(form: str) -> None:
    image = Image.fromarray(np.array([[0, 257, 30_000, 65_535]], np.uint16))
    source = image if form == "memory" else saved(image, form)
    with pytest.warns(ConversionWarning, match="16-bit"):
        photo = load(source)
    assert photo.pixels[0, :, 0].tolist() == [0, 1, 117, 255]


def test_16_bit_grey_with_transparent_level() -> None:
    data = png(3, 1, 16, 0, struct.pack(">3H", 5, 1000, 65_535), (b"tRNS", struct.pack(">H", 1000)))
    with pytest.warns(ConversionWarning, match="16-bit"):
        photo = load(data)
    assert photo.alpha.tolist() == [[255, 0, 255]]
    assert photo.pixels[..., 0].tolist() == [[0, 4, 255]]


@pytest.mark.parametrize(("colour", "channels", "mode"), [(2, 3, "RGB"), (6, 4, "RGBA")])
def test_16_bit_colour_png(colour: int, channels: int, mode: str) -> None:
    data = png(2, 1, 16, colour, struct.pack(f">{2 * channels}H", *[65_535] * channels, *[0x1234] * channels))
    with pytest.warns(ConversionWarning, match="16-bit"):
        photo = load(data)
    assert photo.mode == mode
    assert photo.pixels[0].tolist() == [[255] * 3, [0x12] * 3]


def test_16_bit_colour_png_with_transparent_colour() -> None:
    samples = struct.pack(">6H", 0x1000, 0x2000, 0x3000, 65_535, 65_535, 65_535)
    with pytest.warns(ConversionWarning, match="16-bit"):
        photo = load(png(2, 1, 16, 2, samples, (b"tRNS", struct.pack(">3H", 0x1000, 0x2000, 0x3000))))
    assert photo.alpha.tolist() == [[0, 255]]


def test_16_bit_colour_ppm() -> None:
    with pytest.warns(ConversionWarning, match="16-bit"):
        photo = load(b"P6 1 1 65535\n" + struct.pack(">3H", 65_535, 0, 257))
    assert photo.pixels.ravel().tolist() == [255, 0, 1]


@pytest.mark.parametrize(
    ("mode", "values", "levels", "said"),
    [
        ("I", [0, 128, 255], [0, 128, 255], "255 as white"),
        ("I", [0, 32_768, 65_535], [0, 128, 255], "65535 as white"),
        ("I", [-5, 0, 70_000], [0, 0, 255], "clipped"),
        ("F", [0.0, 0.5, 1.0], [0, 128, 255], "1 as white"),
        ("F", [0.0, 127.6, 255.0], [0, 128, 255], "255 as white"),
        ("F", [-1.0, float("nan"), 1000.0], [0, 0, 255], "clipped"),
    ],
)
def test_wide_grey(mode: str, values: list[float], levels: list[int], said: str) -> None:
    image = Image.fromarray(np.array([values], np.int32 if mode == "I" else np.float32))
    assert image.mode == mode
    with pytest.warns(ConversionWarning, match=said):
        photo = load(image)
    assert photo.pixels[0, :, 0].tolist() == levels


def test_several_frames_give_the_first() -> None:
    frames = [Image.new("L", (4, 4), level) for level in (10, 20, 30)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.warns(ConversionWarning, match="one frame of 3"):
        photo = load(data)
    assert photo.pixels[0, 0, 0] == 10


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_applied_and_reset(form: str, orientation: int) -> None:
    array = noise(16, 24, 3) // 8 * 8
    exif = exif_with(Orientation=orientation, Make="Maker", ImageDescription="a boat")
    options: dict[str, object] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(form, {})
    data = saved(Image.fromarray(array), form, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    photo = load(data)
    assert (photo.width, photo.height) == ((16, 24) if orientation >= 5 else (24, 16))
    assert np.array_equal(photo.pixels, np.asarray(expected.convert("RGB")))
    kept = to_pil(photo).getexif()
    assert kept.get(ExifTags.Base.Orientation, 1) == 1
    assert kept[ExifTags.Base.Make] == "Maker"
    assert photo.metadata.caption == "a boat"
    assert np.array_equal(load(to_pil(photo)).pixels, photo.pixels)  # and is not applied again


def test_other_metadata_is_gone_by_on_request() -> None:
    image = reopened(Image.new("L", (2, 3)), exif=exif_with(Orientation=6))
    photo = from_pil(image, info={})
    assert (photo.width, photo.height) == (2, 3)
    assert photo.metadata == Metadata()
    photo = from_pil(photo_image := to_pil(photo), info={"exif": exif_with(Orientation=6, Make="Maker").tobytes()})
    assert (photo.width, photo.height) == (3, 2)
    kept = to_pil(photo).getexif()
    assert (kept[ExifTags.Base.Orientation], kept[ExifTags.Base.Make]) == (1, "Maker")
    assert photo_image.info == {}


def test_orientation_in_xmp_is_applied_and_reset() -> None:
    xmp = xmp_with("", 'tiff:Orientation="6"')
    photo = load(saved(Image.new("L", (5, 3)), "WEBP", xmp=xmp))
    assert (photo.width, photo.height) == (3, 5)
    assert photo.metadata.xmp == xmp.replace(b'Orientation="6"', b'Orientation="1"')


def test_callers_image_is_left_alone() -> None:
    image = reopened(Image.new("RGB", (2, 3)), exif=exif_with(Orientation=6))
    load(image)
    assert image.size == (2, 3)
    assert image.getexif()[ExifTags.Base.Orientation] == 6


def test_only_the_orientation_changes_in_kept_exif() -> None:
    exif = exif_with(Orientation=8, Make="Maker").tobytes()
    image = Image.new("L", (1, 1))
    image.info["exif"] = exif
    kept = load(image).metadata.exif
    assert kept is not None
    differing = [place for place, pair in enumerate(zip(exif[6:], kept, strict=True)) if pair[0] != pair[1]]
    assert len(differing) == 1


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\0\0", b"nonsense", b"MM\0*\0\0\0\x08\xff\xff\x01"]
)
def test_broken_exif_is_dropped_and_the_picture_kept(exif: bytes) -> None:
    image = Image.new("L", (2, 3), 7)
    image.info["exif"] = exif
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photo = load(image)
    assert photo.metadata.exif is None
    assert photo.pixels.shape == (3, 2, 1)


# Other metadata


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_icc_is_kept_byte_for_byte(form: str) -> None:
    photo = load(saved(Image.new("RGB", (4, 4)), form, icc_profile=SRGB))
    assert photo.metadata.icc == SRGB
    assert to_pil(photo).info["icc_profile"] == SRGB


def test_icc_of_another_colour_space_is_dropped() -> None:
    image = Image.new("RGB", (4, 4))
    image.info["icc_profile"] = SRGB[:16] + b"CMYK" + SRGB[20:]
    with pytest.warns(ConversionWarning, match="'CMYK' pixels is dropped"):
        assert load(image).metadata.icc is None


@pytest.mark.parametrize(("mode", "space"), [("L", b"RGB "), ("LA", b"RGB "), ("RGB", b"GRAY"), ("P", b"GRAY")])
def test_icc_that_does_not_fit_the_pixels_is_dropped(mode: str, space: bytes) -> None:
    image = Image.new(mode, (4, 4))
    image.info["icc_profile"] = SRGB[:16] + space + SRGB[20:]
    with pytest.warns(ConversionWarning, match=f"'{space.decode().strip()}' pixels is dropped"):
        assert load(image).metadata.icc is None


def test_icc_of_grey_is_kept_with_grey() -> None:
    image = Image.new("L", (4, 4))
    image.info["icc_profile"] = SRGB[:16] + b"GRAY" + SRGB[20:]
    assert load(image).metadata.icc == image.info["icc_profile"]


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "WEBP", "AVIF"])
def test_xmp_is_kept(form: str) -> None:
    xmp = xmp_with(languages("dc:description", x_default="a boat"))
    options = {"tiffinfo": {700: xmp}} if form == "TIFF" else {"xmp": xmp}
    photo = load(saved(Image.new("RGB", (4, 4)), form, **options))
    assert photo.metadata.xmp == xmp
    assert photo.metadata.caption == "a boat"


def test_xmp_of_png_is_kept() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_with("").decode())
    assert load(saved(Image.new("L", (4, 4)), pnginfo=text)).metadata.xmp == xmp_with("")


def test_tiff_keeps_what_is_about_the_photograph() -> None:
    exif = exif_with(Make="Maker", Artist="Me")
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    shot[ExifTags.Base.ISOSpeedRatings] = 400
    exif[ExifTags.IFD.Exif] = shot
    kept = to_pil(load(saved(Image.new("L", (9, 9)), "TIFF", exif=exif))).getexif()
    assert kept[ExifTags.Base.Artist] == "Me"
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400
    assert ExifTags.Base.StripOffsets not in kept


def test_metadata_beyond_the_limit_is_dropped() -> None:
    image = Image.new("L", (1, 1))
    image.info["xmp"] = b"x" * (MAX_METADATA + 1)
    with pytest.warns(ConversionWarning, match="XMP of 16777217 bytes is dropped"):
        assert load(image).metadata.xmp is None


def test_info_that_is_not_what_it_should_be_is_ignored() -> None:
    image = Image.new("L", (1, 1))
    image.info.update(icc_profile=5, xmp=[1], caption=b"no text")
    assert load(image).metadata == Metadata()


# Captions


def image_with(xmp: bytes | None = None, description: str | bytes | None = None) -> Image.Image:
    image = Image.new("L", (1, 1))
    if xmp is not None:
        image.info["xmp"] = xmp
    if description is not None:
        image.info["exif"] = exif_with(ImageDescription=description).tobytes()
    return image


DESCRIPTION = languages("dc:description", x_default="described")
ALTERNATIVE = languages("Iptc4xmpCore:AltTextAccessibility", x_default="alternative")


@pytest.mark.parametrize(
    ("image", "caption"),
    [
        (image_with(), None),
        (image_with(xmp_with(ALTERNATIVE + DESCRIPTION), "exif"), "described"),
        (image_with(xmp_with(ALTERNATIVE), "exif"), "alternative"),
        (image_with(xmp_with(languages("dc:description", x_default="  ")), "exif"), "exif"),
        (image_with(xmp_with(""), "exif"), "exif"),
        (image_with(xmp_with(languages("dc:description", de="Boot", en_GB="boat", fr="bateau"))), "boat"),
        (image_with(xmp_with(languages("dc:description", de="Boot", fr="bateau"))), "Boot"),
        (image_with(xmp_with(languages("dc:description", en="boat", x_default="Boot"))), "Boot"),
        (image_with(xmp_with("<dc:description>plain</dc:description>")), "plain"),
        (image_with(xmp_with("", 'dc:description="short"')), "short"),
        (image_with(xmp_with(DESCRIPTION) + b"\0\0"), "described"),
        (image_with(b"<not-xml", "exif"), "exif"),
        (image_with(b"\xff\xfe\0", "exif"), "exif"),
        (image_with(None, "OLYMPUS DIGITAL CAMERA         "), None),
        (image_with(None, "SONY DSC"), None),
        (image_with(None, "Sony digital cameras on a table"), "Sony digital cameras on a table"),
        (image_with(None, "ein grünes Boot".encode()), "ein grünes Boot"),
        (image_with(None, "gr\u00fcn".encode("latin-1")), "grün"),
        (image_with(None, " two\nlines\x07 "), "two\nlines"),
    ],
)
def test_caption_from_metadata(image: Image.Image, caption: str | None) -> None:
    assert caption_from_metadata(image) == caption
    assert load(image).metadata.caption == caption


def test_xml_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "described">]>' + xmp_with(languages("dc:description", x_default="&a;"))
    assert caption_from_metadata(image_with(bomb)) is None


def test_long_caption_is_cut_between_characters() -> None:
    image = Image.new("L", (1, 1))
    image.info["caption"] = "x" + "ü" * MAX_CAPTION
    with pytest.warns(ConversionWarning, match="cut to 65535 bytes"):
        caption = load(image).metadata.caption
    assert caption == "x" + "ü" * (MAX_CAPTION // 2)


# Sources


def test_the_same_photo_from_every_kind_of_source(tmp_path: Path) -> None:
    array = noise(5, 7, 3)
    data = saved(Image.fromarray(array))
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    tensor = torch.from_numpy(array)
    sources = [
        *(str(path), path, data, bytearray(data), memoryview(data), io.BytesIO(data)),
        *(array, np.asfortranarray(array), array.astype(np.float64) / 255, array / np.float16(255)),
        *(tensor, tensor.permute(2, 0, 1), tensor.permute(2, 0, 1) / 255, tensor.requires_grad_(False).double() / 255),
    ]
    for source in sources:
        assert np.array_equal(load(source).pixels, array)
    with path.open("rb") as file:
        assert np.array_equal(load(file).pixels, array)
        assert not file.closed
    photo = load(path)
    assert load(photo) is photo


def test_tensor_needing_gradients_and_of_bfloat16() -> None:
    tensor = torch.tensor([[[0.0, 1.0]]] * 3, dtype=torch.bfloat16, requires_grad=True)  # [3, 1, 2]
    assert load(tensor).pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(
    ("shape", "mode"), [((4, 5), "L"), ((4, 5, 1), "L"), ((4, 5, 2), "LA"), ((4, 5, 3), "RGB"), ((4, 5, 4), "RGBA")]
)
def test_channels_of_arrays(shape: tuple[int, ...], mode: str) -> None:
    array = noise(*shape)
    photo = load(array)
    assert (photo.mode, photo.width, photo.height) == (mode, 5, 4)
    assert to_pil(photo).tobytes() == array.tobytes()


def test_other_samples_of_arrays() -> None:
    assert load(np.array([[True, False]])).pixels.ravel().tolist() == [255, 0]
    with pytest.warns(ConversionWarning, match="16-bit"):
        assert load(np.array([[0, 129, 65_535]], np.uint16)).pixels.ravel().tolist() == [0, 1, 255]
    assert load(np.array([[-0.0005, 1.0005]])).pixels.ravel().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((0, 5), np.uint8), "empty"),
        (np.zeros((5,), np.uint8), "shape"),
        (np.zeros((3, 5, 9), np.uint8), "shape"),
        (np.zeros((1, 3, 5, 5), np.uint8), "shape"),
        (np.zeros((5, 5), np.int64), "int64"),
        (np.full((5, 5), 37.5), "37.5, expected values in"),
        (np.full((5, 5), -1.0), "-1 to"),
        (np.full((5, 5), np.nan), "NaN"),
        (torch.zeros(2, 3, 5, 5), "tensor has shape"),
        (Image.new("RGB", (0, 5)), "empty"),
        (None, "NoneType"),
        (b"", "image: not an image"),
        (b"This is text, whatever its name says.", "not an image"),
        (saved(Image.fromarray(noise(64, 64)))[:2000], "damaged image"),
        (saved(Image.fromarray(noise(64, 64)), "WEBP")[:200], "image"),
    ],
)
def test_what_is_no_image_is_refused(source: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        load(source)
    assert "\n" not in str(caught.value)


def test_unreadable_paths(tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"missing\.png: No such file"):
        load(tmp_path / "missing.png")
    with pytest.raises(PathError, match="directory"):
        load(tmp_path)


def test_names_of_files_are_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(saved(Image.fromarray(noise(64, 64)))[:2000])
    with pytest.raises(InvalidInput, match=r"broken\.png: damaged"):
        load(path)
    Image.new("CMYK", (1, 1)).save(tmp_path / "print.tif")
    with pytest.warns(ConversionWarning, match=r"print\.tif: CMYK"):
        load(tmp_path / "print.tif")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]))
    stream = bytearray(saved(Image.fromarray(noise(9, 11, 3)), form))
    place = data.draw(st.integers(0, len(stream) - 1))
    if data.draw(st.booleans()):
        del stream[place:]
    else:
        stream[place] ^= data.draw(st.integers(1, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            load(bytes(stream))
        except InvalidInput:
            pass


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    data = saved(Image.new("L", (10, 10)))
    with pytest.warns(Image.DecompressionBombWarning):
        assert load(data).width == 10  # Pillow warns from the limit on, and refuses at twice the limit
    larger = saved(Image.new("L", (10, 11)))
    for source in (larger, Image.new("L", (10, 11)), np.zeros((10, 11), np.uint8)):
        with pytest.raises(ImageTooLarge, match="110"):
            load(source)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load(larger).height == 11


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (np.zeros((2, 2), np.uint8), None),
        (np.zeros((2, 2, 4), np.uint8), None),
        (np.zeros((2, 2, 3), np.float32), None),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.uint8)),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.int32)),
    ],
)
def test_photo_checks_its_arrays(pixels: np.ndarray, alpha: np.ndarray | None) -> None:
    with pytest.raises(InvalidInput):
        Raster(pixels, alpha)


# Alpha


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), top=st.integers(0, 255), seed=st.integers(0, 99))
def test_alpha_is_lossless(width: int, height: int, top: int, seed: int) -> None:
    alpha = noise(height, width, seed=seed).clip(0, top)
    payload = encode_alpha(alpha)
    assert np.array_equal(decode_alpha(payload, width, height), alpha)
    assert top > 0 or payload == b"\0\0"


ALPHA = encode_alpha(noise(8, 8))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\0\1\2",
        b"\2\0",
        b"\1",
        ALPHA[:20],
        ALPHA[:-30],
        b"\1" + saved(Image.new("L", (8, 9))),
        b"\1" + saved(Image.new("1", (8, 8))),
        b"\1" + saved(Image.new("RGB", (8, 8))),
        b"\1" + saved(Image.new("I;16", (8, 8))),
        b"\1" + saved(Image.new("L", (8, 8)), "WEBP"),
        ALPHA[:60] + bytes([ALPHA[60] ^ 1]) + ALPHA[61:],
    ],
)
def test_damaged_alpha_is_refused(payload: bytes) -> None:
    with pytest.raises(CorruptFile, match="alpha"):
        decode_alpha(payload, 8, 8)


# What the module costs


def test_importing_imports_no_torch() -> None:
    code = "import sys, tacit.image; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ}).returncode == 0


MEMORY = """
import resource, sys
from PIL import Image
import tacit.image
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
tacit.image.load(sys.argv[1] % 1)
before = peak()
photo = tacit.image.load(sys.argv[1] % 4000)
print(peak() - before, photo.pixels.shape[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "P", "I;16"])
def test_memory_of_a_turned_photograph(mode: str, tmp_path: Path) -> None:
    for width in (1, 4000):
        image = Image.new(mode, (width, 4000))
        image.save(tmp_path / f"{width}.tif", exif=exif_with(Orientation=6), compression="tiff_lzw")
    command = [sys.executable, "-W", "ignore", "-c", MEMORY, str(tmp_path / "%d.tif")]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    grown, height = map(int, result.stdout.split())
    assert height == 4000
    # 16 megapixels: 61 MiB in Pillow (4 bytes a pixel, less for grey), 46 MiB in the photo. Pillow itself turns a TIFF,
    # which takes a second copy of its own for a moment.
    assert grown < 2 * 61 + 46
