"""Resolution survives the way in and out."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from support.image_files import exif_with, noise, saved, xmp_with
from tacit.image import load, to_pil
from tacit.image.export import to_bytes
from tacit.image.resolution import resolution_of, usable_resolution, with_resolution


def image() -> Image.Image:
    return Image.fromarray(noise(8, 8, 3))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF"])
def test_resolution_is_kept_as_exif(form: str) -> None:
    raster = load(saved(image(), form, dpi=(300, 150)))
    assert raster.metadata.exif is not None
    assert resolution_of(raster.metadata.exif) == (300, 150)
    assert to_pil(raster).info["dpi"] == (300, 150)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "webp", "avif"])
@pytest.mark.filterwarnings("ignore:BMP holds no metadata")
def test_resolution_is_written(suffix: str) -> None:
    made = to_pil(load(saved(image(), "JPEG", dpi=(300, 150))))
    opened = Image.open(io.BytesIO(to_bytes(made, suffix)))
    if suffix in ("webp", "avif"):
        exif = opened.getexif()
        assert (exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution]) == (300, 150)
    else:
        assert usable_resolution(opened.info["dpi"]) == (300, 150)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff"])
def test_without_metadata_there_is_no_resolution(suffix: str) -> None:
    made = to_pil(load(saved(image(), "JPEG", dpi=(300, 300))))
    opened = Image.open(io.BytesIO(to_bytes(made, suffix, keep_metadata=False)))
    assert round(opened.info.get("dpi", (1, 1))[0]) in (1, 96)  # 96 is what Pillow writes into every BMP


@pytest.mark.parametrize("dpi", [(72, 72), (96, 96)])
def test_defaults_of_programs_cost_no_bytes(dpi: tuple[int, int]) -> None:
    assert load(saved(image(), "JPEG", dpi=dpi)).metadata.exif is None


def test_exif_keeps_its_own_resolution() -> None:
    exif = exif_with(XResolution=IFDRational(240, 1), YResolution=IFDRational(240, 1), ResolutionUnit=2)
    raster = load(saved(image(), "JPEG", dpi=(300, 300), exif=exif))
    assert raster.metadata.exif is not None
    assert resolution_of(raster.metadata.exif) == (240, 240)


@pytest.mark.parametrize("endian", ["<", ">"])
def test_everything_in_exif_stays_at_its_place(endian: str) -> None:
    exif = exif_with(Make="Maker of cameras", Orientation=1)
    exif.endian = endian
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: b"ASCII\0\0\0of the image"}
    before = exif.tobytes().removeprefix(b"Exif\0\0")
    after = with_resolution(before, (299.9994, 299.9994))
    assert after is not None
    assert after[8 : len(before)] == before[8:]
    parsed = Image.Exif()
    parsed.load(after)
    assert parsed[ExifTags.Base.Make] == "Maker of cameras"
    assert parsed.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] == b"ASCII\0\0\0of the image"
    assert resolution_of(after) == (300, 300)
    assert with_resolution(after, (600, 600)) == after


def test_dots_per_centimetre() -> None:
    exif = exif_with(XResolution=IFDRational(100, 1), ResolutionUnit=3).tobytes()[6:]
    assert resolution_of(exif) == (254, 254)
    assert resolution_of(exif_with(XResolution=IFDRational(9, 1), ResolutionUnit=1).tobytes()[6:]) is None


@pytest.mark.parametrize("dpi", [None, (0, 0), (300,), (float("nan"), 1), (float("inf"), 1), (1e9, 1e9), "ab", 300])
def test_what_is_no_resolution(dpi: object) -> None:
    assert usable_resolution(dpi) is None
    assert with_resolution(None, dpi) is None


def test_damaged_exif() -> None:
    assert resolution_of(b"II*\0\xff\0\0\0") is None
    with pytest.raises(struct.error):
        with_resolution(b"II*\0\xff\0\0\0", (300, 300))


def test_xmp_is_kept_beside_it() -> None:
    raster = load(saved(image(), "JPEG", dpi=(300, 300), xmp=xmp_with("")))
    assert raster.metadata.xmp == xmp_with("")
