"""Export: images as files of the usual formats."""

from __future__ import annotations

import io
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from support.image_files import SRGB, exif_with, noise, profile, xmp_with
from tacit.errors import InvalidInput
from tacit.image import ConversionWarning, load, to_pil
from tacit.image.export import to_bytes


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff"])
def test_metadata_is_in_the_decoded_image(suffix: str) -> None:
    exif = Image.Exif()
    exif[315] = "somebody"  # Artist
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    image = Image.new("RGB", (16, 16))
    image.info.update(icc_profile=SRGB, exif=exif.tobytes(), xmp=xmp)
    with Image.open(io.BytesIO(to_bytes(image, suffix))) as back:
        assert back.info["icc_profile"] == SRGB
        assert back.getexif()[315] == "somebody"
        assert xmp in (back.info["xmp"] if isinstance(back.info["xmp"], bytes) else back.info["xmp"].encode())


def test_transparency_is_put_on_white_where_there_is_none() -> None:
    with pytest.warns(ConversionWarning, match="JPEG has no transparency"):
        data = to_bytes(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "jpg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_a_format_that_cannot_hold_the_image_is_invalid_input() -> None:
    with pytest.raises(InvalidInput, match="cannot be saved as WEBP"):
        to_bytes(Image.new("L", (16_384, 1)), "webp")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_tiff_keeps_sub_ifds_icc_and_xmp(capfd: pytest.CaptureFixture[str], order: str, mode: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Orientation] = 1
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09"})
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"a maker's note"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSAltitude: 1.5})
    image = Image.fromarray(noise(70, 2000, 4)).convert(mode)
    image.info.update(icc_profile=SRGB, exif=exif.tobytes(), xmp=xmp_with(""))
    with Image.open(io.BytesIO(to_bytes(image, "tiff"))) as back:
        back.load()
        assert back.mode == mode
        assert np.array_equal(np.asarray(back), np.asarray(image))
        assert back.info["icc_profile"] == SRGB
        assert back.info["xmp"] == xmp_with("")
        kept = back.getexif()
    assert kept[ExifTags.Base.Make] == "Maker"
    shot = kept.get_ifd(ExifTags.IFD.Exif)
    assert shot[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert shot[ExifTags.Base.MakerNote] == b"a maker's note"
    assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] == 1.5
    assert capfd.readouterr().err == ""


def test_offsets_in_makers_notes_hold_in_tiff() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"note with offsets"
    block = exif.tobytes()
    image = Image.new("RGB", (9, 9))
    image.info["exif"] = block
    data = to_bytes(image, "tiff")
    assert data.index(b"note with offsets") == block.index(b"note with offsets") - len(b"Exif\0\0")


@pytest.mark.parametrize("exif", [b"nonsense", b"II*\0\xff\xff\0\0", b"MM\0*\0\0\0\x08\xff\xff\x01"])
def test_tiff_without_damaged_exif(exif: bytes) -> None:
    image = Image.new("RGB", (9, 9), "red")
    image.info.update(exif=exif, xmp=xmp_with(""))
    with pytest.warns(ConversionWarning, match="TIFF is written without EXIF"):
        data = to_bytes(image, "tiff")
    with Image.open(io.BytesIO(data)) as back:
        assert back.getpixel((0, 0)) == (255, 0, 0)
        assert back.info["xmp"] == xmp_with("")


@pytest.mark.parametrize("suffix", ["bmp", "ppm"])
def test_formats_without_metadata_say_so(suffix: str) -> None:
    image = Image.new("RGB", (9, 9))
    image.info.update(icc_profile=SRGB, exif=exif_with(Make="Maker").tobytes(), xmp=xmp_with(""))
    with pytest.warns(ConversionWarning, match=r"holds no metadata: EXIF and XMP are left out") as caught:
        to_bytes(image, suffix)
    assert len(caught) == 1


@pytest.mark.parametrize("form", ["TIFF", "JPEG", "PNG", "WEBP", "AVIF"])
def test_interoperability_survives(form: str) -> None:
    exif = Image.Exif()
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    shot[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    shot[ExifTags.IFD.Interop] = {1: "R98"}
    exif[ExifTags.IFD.Exif] = shot
    image = Image.new("RGB", (9, 9))
    image.info["exif"] = exif.tobytes()
    once = to_bytes(to_pil(load(image)), form.lower())
    twice = to_bytes(to_pil(load(once)), form.lower())
    for data in (once, twice):
        with Image.open(io.BytesIO(data)) as back:
            assert back.getexif().get_ifd(ExifTags.IFD.Interop) == {1: "R98"}


@pytest.mark.parametrize(
    ("suffix", "key", "kind", "limit"),
    [
        ("png", "icc_profile", "ICC profile", 1 << 20),
        ("jpg", "icc_profile", "ICC profile", 255 * 65_519),
        ("jpg", "exif", "EXIF", 65_527),
    ],
)
def test_metadata_too_large_for_a_format_are_left_out(suffix: str, key: str, kind: str, limit: int) -> None:
    image = Image.new("RGB", (9, 9))
    start = {"icc_profile": SRGB, "exif": b"II*\0\x08\0\0\0\0\0\0\0\0\0"}[key]
    image.info[key] = start.ljust(limit, b"\0")
    with Image.open(io.BytesIO(to_bytes(image, suffix))) as back:
        back.load()
        assert back.info[key].removeprefix(b"Exif\0\0") == image.info[key]
    image.info[key] += b" "
    with pytest.warns(ConversionWarning, match=f"{kind} must have at most {limit} bytes, got {limit + 1}") as caught:
        data = to_bytes(image, suffix)
    assert len(caught) == 1
    with Image.open(io.BytesIO(data)) as back:
        back.load()
        assert key not in back.info


def test_large_exif_keeps_all_but_the_makers_note_in_jpeg() -> None:
    exif = exif_with(Make="Maker")
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.MakerNote: bytes(70_000),
        ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09",
        ExifTags.IFD.Interop: {1: "R98"},
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    image = Image.new("RGB", (9, 9))
    image.info["exif"] = exif.tobytes()
    with pytest.warns(ConversionWarning, match="JPEG: EXIF must have .*: the maker's note is left out") as caught:
        data = to_bytes(image, "jpg")
    assert len(caught) == 1
    with Image.open(io.BytesIO(data)) as back:
        kept = back.getexif()
        assert kept[ExifTags.Base.Make] == "Maker"
        assert set(kept.get_ifd(ExifTags.IFD.Exif)) == {ExifTags.Base.DateTimeOriginal, ExifTags.IFD.Interop}
        assert kept.get_ifd(ExifTags.IFD.Interop) == {1: "R98"}
        assert kept.get_ifd(ExifTags.IFD.GPSInfo) == {ExifTags.GPS.GPSLatitudeRef: "N"}


def with_profile(image: Image.Image, data: bytes) -> Image.Image:
    image.info["icc_profile"] = data
    return image


@pytest.mark.parametrize("mode", ["L", "LA"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff"])
def test_a_profile_is_one_for_the_pixels_of_the_file(suffix: str, mode: str) -> None:
    image = with_profile(Image.linear_gradient("L").convert(mode), profile("GRAY", 1.0))
    with nullcontext() if suffix != "jpg" or mode == "L" else pytest.warns(ConversionWarning, match="transparency"):
        data = to_bytes(image, suffix)
    srgb = ImageCms.createProfile("sRGB")
    with Image.open(io.BytesIO(data)) as back:
        colours = back.convert(back.mode.removesuffix("A"))
        if "icc_profile" in back.info:
            source = ImageCms.ImageCmsProfile(io.BytesIO(back.info["icc_profile"]))
            # A strict reader: LittleCMS refuses a profile of grey for RGB.
            transformed = ImageCms.profileToProfile(colours, source, srgb, outputMode="RGB")
            assert transformed is not None
            colours = transformed
        levels = np.asarray(colours.convert("RGB")).astype(int)
    linear = np.arange(256) / 255
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    # JPEG and AVIF are lossy, and the darkest levels of a linear profile are steep.
    assert abs(levels[:, :, 1].mean(axis=1) - expected)[8:].max() < 2
    assert np.ptp(levels, axis=2).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_without_metadata_the_colours_are_srgb(suffix: str, mode: str) -> None:
    space = "GRAY" if mode in ("L", "LA") else "RGB "
    image = with_profile(Image.new("RGBA", (16, 16), (0, 200, 0, 255)).convert(mode), profile(space, 2.2))
    image.info.update(exif=exif_with(Make="Maker").tobytes(), xmp=xmp_with(""), caption="a field")
    with nullcontext() if suffix != "jpg" or "A" not in mode else pytest.warns(ConversionWarning, match="transparency"):
        data = to_bytes(image, suffix, keep_metadata=False)
    assert b"Maker" not in data
    assert b"xmpmeta" not in data
    with Image.open(io.BytesIO(data)) as back:
        assert "icc_profile" not in back.info
        assert not dict(back.getexif()).get(ExifTags.Base.Make)
        colour = np.asarray(back.convert("RGB"))[8, 8]
    if space == "RGB ":
        # Adobe RGB's green is outside of sRGB: red is clipped to 0, and green is brighter than it was.
        assert (colour[0], colour[2]) == pytest.approx((0, 0), abs=60)
        assert colour[1] >= 200
    assert image.info["caption"] == "a field"


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_colours_are_srgb_where_the_profile_is_too_large(suffix: str) -> None:
    exif = exif_with(Make="Maker")
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ColorSpace: 0xFFFF, ExifTags.IFD.Interop: {1: "R03"}}
    size = {"png": 1 << 20, "jpg": 255 * 65_519}[suffix] + 1
    image = with_profile(Image.new("RGB", (8, 8), (60, 200, 60)), profile("RGB ", 2.2).ljust(size, b"\0"))
    image.info["exif"] = exif.tobytes()
    with pytest.warns(ConversionWarning, match=f"got {size}: the colours are converted to sRGB"):
        data = to_bytes(image, suffix)
    with Image.open(io.BytesIO(data)) as back:
        assert "icc_profile" not in back.info
        assert np.abs(np.asarray(back).astype(int) - (0, 201, 37)).max() <= 3
        own = back.getexif().get_ifd(ExifTags.IFD.Exif)
        assert own[ExifTags.Base.ColorSpace] == 1
        assert back.getexif().get_ifd(ExifTags.IFD.Interop)[1] == "R98"


def test_a_profile_that_is_srgb_leaves_the_pixels() -> None:
    image = with_profile(Image.fromarray(noise(40, 40, 3)), SRGB)
    with Image.open(io.BytesIO(to_bytes(image, "bmp"))) as back:
        assert np.array_equal(np.asarray(back), np.asarray(image))
    broken = with_profile(Image.fromarray(noise(4, 4, 3)), b"nonsense")
    with pytest.warns(ConversionWarning, match="profile cannot be used and is dropped"):
        to_bytes(broken, "ppm")
