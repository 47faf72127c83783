"""EXIF: the orientation is applied and reset, the rest is kept, and broken EXIF is dropped."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from support.image_files import exif_with, noise, saved, xmp_with
from tacit.container import Metadata
from tacit.image import ConversionWarning, load, to_pil, without_thumbnails
from tacit.image.exif import without_previews


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


def exif_with_thumbnail(order: str, thumbnail: bytes, behind: bytes = b"") -> bytes:
    """EXIF with the orientation 6 and a thumbnail, behind which other data may be."""

    def entry(tag: int, kind: int, value: int) -> bytes:
        shape = "HHIHH" if kind == 3 else "HHII"
        return struct.pack(order + shape, tag, kind, 1, value, *([0] if kind == 3 else []))

    first = struct.pack(order + "H", 1) + entry(0x112, 3, 6)
    second_at = 8 + len(first) + 4
    second = struct.pack(order + "H", 2) + entry(0x201, 4, second_at + 30) + entry(0x202, 4, len(thumbnail)) + bytes(4)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + first + struct.pack(order + "I", second_at) + second + thumbnail + behind


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("behind", [b"", b"something else"])
def test_the_thumbnail_is_erased(order: str, behind: bytes) -> None:
    thumbnail = saved(Image.new("RGB", (16, 12), "red"), "JPEG")
    image = Image.new("RGB", (16, 12))
    image.info["exif"] = b"Exif\0\0" + exif_with_thumbnail(order, thumbnail, behind)
    kept = load(image).metadata.exif
    assert kept is not None
    assert kept.endswith(behind)
    assert thumbnail[:3] not in kept
    exif = Image.Exif()
    exif.load(kept)
    assert dict(exif) == {ExifTags.Base.Orientation: 1}
    assert not exif.get_ifd(ExifTags.IFD.IFD1)


def test_thumbnails_of_files_made_earlier_are_erased() -> None:
    old = Metadata(
        exif=exif_with_thumbnail("<", b"\xff\xd8\xff thumbnail"), xmp=xmp_with(XMP_THUMBNAIL), caption="a boat"
    )
    new = without_thumbnails(old)
    assert new.exif is not None
    assert b"thumbnail" not in new.exif
    assert new.xmp == xmp_with("")
    assert new.caption == "a boat"
    assert without_thumbnails(new) == new


XMP_THUMBNAIL = "<xmp:Thumbnails><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></xmp:Thumbnails>"


def test_previews_in_makers_notes_are_erased() -> None:
    preview = saved(Image.new("RGB", (160, 120), (9, 200, 9)), "JPEG")
    note = b"Maker\0" + preview + b"\xff\xd8\xff\xe0 no image" + preview + b"behind"
    exif = exif_with(Make="Maker")
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.MakerNote: note, ExifTags.Base.ExifVersion: b"0232"}
    for form in ("JPEG", "TIFF"):
        raster = load(saved(Image.new("RGB", (8, 8)), form, exif=exif.tobytes()))
        read = Image.Exif()
        read.load(raster.metadata.exif or b"")
        kept = read.get_ifd(ExifTags.IFD.Exif)
        assert kept[ExifTags.Base.MakerNote] == (
            b"Maker\0" + bytes(len(preview)) + b"\xff\xd8\xff\xe0 no image" + bytes(len(preview)) + b"behind"
        )
        assert kept[ExifTags.Base.ExifVersion] == b"0232"
    earlier = without_thumbnails(Metadata(exif=exif.tobytes().removeprefix(b"Exif\0\0")))
    assert preview not in (earlier.exif or b"")
    cut = b"II*\0" + note[: 6 + len(preview) - 2]  # its end is not there, and what is behind it may be something else
    assert without_previews(cut) == cut


def test_thumbnails_in_xmp_are_dropped() -> None:
    image = Image.new("L", (2, 2))
    for whole in (XMP_THUMBNAIL, "<GImage:Data>/9j/4AAQ</GImage:Data>"):
        image.info["xmp"] = xmp_with(whole, 'xmlns:GImage="http://ns.google.com/photos/1.0/image/"')
        assert load(image).metadata.xmp == xmp_with("", 'xmlns:GImage="http://ns.google.com/photos/1.0/image/"')
    image.info["xmp"] = xmp_with("", 'xmlns:GImage="g" GImage:Mime="image/jpeg" GImage:Data="/9j/4AAQ"')
    assert load(image).metadata.xmp == xmp_with("", 'xmlns:GImage="g" GImage:Mime="image/jpeg"')


def test_exif_whose_thumbnail_lies_on_its_tags_is_dropped() -> None:
    exif = bytearray(exif_with_thumbnail("<", b"thumbnail"))
    struct.pack_into("<I", exif, 8 + 18 + 2 + 8, 8)  # the thumbnail begins where the first IFD does
    with pytest.warns(ConversionWarning, match="unreadable EXIF is dropped"):
        assert without_thumbnails(Metadata(exif=bytes(exif))).exif is None


def test_tiff_keeps_what_is_about_the_image() -> None:
    exif = exif_with(Make="Maker", Artist="Me")
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    shot[ExifTags.Base.ISOSpeedRatings] = 400
    exif[ExifTags.IFD.Exif] = shot
    kept = to_pil(load(saved(Image.new("L", (9, 9)), "TIFF", exif=exif))).getexif()
    assert kept[ExifTags.Base.Artist] == "Me"
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400
    assert ExifTags.Base.StripOffsets not in kept
