"""ICC profiles, XMP and the limits on metadata."""

from __future__ import annotations

import pytest
from PIL import Image, PngImagePlugin

from support.image_files import SRGB, languages, saved, xmp_with
from tacit.container import MAX_METADATA, Metadata
from tacit.image import ConversionWarning, load, to_pil


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_icc_is_kept_byte_for_byte(form: str) -> None:
    raster = load(saved(Image.new("RGB", (4, 4)), form, icc_profile=SRGB))
    assert raster.metadata.icc == SRGB
    assert to_pil(raster).info["icc_profile"] == SRGB


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


def test_orientation_in_xmp_is_applied_and_reset() -> None:
    xmp = xmp_with("", 'tiff:Orientation="6"')
    raster = load(saved(Image.new("L", (5, 3)), "WEBP", xmp=xmp))
    assert (raster.width, raster.height) == (3, 5)
    assert raster.metadata.xmp == xmp.replace(b'Orientation="6"', b'Orientation="1"')


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "WEBP", "AVIF"])
def test_xmp_is_kept(form: str) -> None:
    xmp = xmp_with(languages("dc:description", x_default="a boat"))
    options = {"tiffinfo": {700: xmp}} if form == "TIFF" else {"xmp": xmp}
    raster = load(saved(Image.new("RGB", (4, 4)), form, **options))
    assert raster.metadata.xmp == xmp
    assert raster.metadata.caption == "a boat"


def test_xmp_of_png_is_kept() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_with("").decode())
    assert load(saved(Image.new("L", (4, 4)), pnginfo=text)).metadata.xmp == xmp_with("")


def test_metadata_beyond_the_limit_is_dropped() -> None:
    image = Image.new("L", (1, 1))
    image.info["xmp"] = b"x" * (MAX_METADATA + 1)
    with pytest.warns(ConversionWarning, match="XMP must have at most 16777216 bytes, got 16777217, and is dropped"):
        assert load(image).metadata.xmp is None


def test_info_that_is_not_what_it_should_be_is_ignored() -> None:
    image = Image.new("L", (1, 1))
    image.info.update(icc_profile=5, xmp=[1], caption=b"no text")
    assert load(image).metadata == Metadata()
