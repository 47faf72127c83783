"""EXIF: the orientation is applied and reset, the rest is kept, and broken EXIF is dropped."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from support.image_files import exif_with, noise, saved
from tacit.image import load, to_pil


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_applied_and_reset(form: str, orientation: int) -> None:
    array = noise(16, 24, 3) // 8 * 8
    exif = exif_with(Orientation=orientation, Make="Maker", ImageDescription="a boat")
    lossless: dict[str, dict[str, object]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}
    options = lossless.get(form, {})
    data = saved(Image.fromarray(array), form, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    raster = load(data)
    assert (raster.width, raster.height) == ((16, 24) if orientation >= 5 else (24, 16))
    assert np.array_equal(raster.pixels, np.asarray(expected.convert("RGB")))
    kept = to_pil(raster).getexif()
    assert kept.get(ExifTags.Base.Orientation, 1) == 1
    assert kept[ExifTags.Base.Make] == "Maker"
    assert raster.metadata.caption == "a boat"
    assert np.array_equal(load(to_pil(raster)).pixels, raster.pixels)  # and is not applied again


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
def test_broken_exif_is_dropped_and_the_image_kept(exif: bytes) -> None:
    image = Image.new("L", (2, 3), 7)
    image.info["exif"] = exif
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raster = load(image)
    assert raster.metadata.exif is None
    assert raster.pixels.shape == (3, 2, 1)


def test_tiff_keeps_what_is_about_the_image() -> None:
    exif = exif_with(Make="Maker", Artist="Me")
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    shot[ExifTags.Base.ISOSpeedRatings] = 400
    exif[ExifTags.IFD.Exif] = shot
    kept = to_pil(load(saved(Image.new("L", (9, 9)), "TIFF", exif=exif))).getexif()
    assert kept[ExifTags.Base.Artist] == "Me"
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400
    assert ExifTags.Base.StripOffsets not in kept
