"""IPTC, comments and texts of files become XMP, and captions."""

from __future__ import annotations

import struct

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from support.image_files import languages, saved, xmp_with
from tacit.image import ConversionWarning, caption_from_metadata, load
from tacit.image.xmp import with_properties


def iptc_jpeg(*datasets: tuple[int, bytes], **options: object) -> bytes:
    iim = b"".join(b"\x1c\2" + bytes([number]) + struct.pack(">H", len(data)) + data for number, data in datasets)
    content = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0" + struct.pack(">I", len(iim)) + iim + bytes(len(iim) % 2)
    jpeg = saved(Image.new("L", (8, 8)), "JPEG", **options)
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(content)) + content + jpeg[2:]


def test_iptc_is_kept_as_xmp() -> None:
    data = iptc_jpeg(
        (120, "ein grünes Boot".encode()),
        (25, b"boat"),
        (25, b"lake"),
        (80, "José".encode("latin-1")),
        (55, b"20240506"),
        (90, b"Ulm & Neu-Ulm"),
        (10, b"5"),
    )
    metadata = load(data).metadata
    assert metadata.caption == "ein grünes Boot"
    assert metadata.xmp is not None
    xmp = metadata.xmp.decode()
    assert '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">ein grünes Boot</rdf:li>' in xmp
    assert "<dc:subject><rdf:Bag><rdf:li>boat</rdf:li><rdf:li>lake</rdf:li></rdf:Bag></dc:subject>" in xmp
    assert "<dc:creator><rdf:Seq><rdf:li>José</rdf:li></rdf:Seq></dc:creator>" in xmp
    assert "<photoshop:DateCreated>2024-05-06</photoshop:DateCreated>" in xmp
    assert "<photoshop:City>Ulm &amp; Neu-Ulm</photoshop:City>" in xmp


def test_iptc_without_a_place_is_named() -> None:
    with pytest.warns(ConversionWarning, match=r"IPTC 2:07, 2:118 have no place in XMP") as caught:
        assert load(iptc_jpeg((7, b"status"), (118, b"contact"))).metadata.xmp is None
    assert len(caught) == 1


def test_properties_of_xmp_precede_those_of_iptc() -> None:
    xmp = xmp_with(languages("dc:description", x_default="of XMP"))
    metadata = load(iptc_jpeg((120, b"of IPTC"), (105, b"News"), xmp=xmp)).metadata
    assert metadata.caption == "of IPTC"
    assert metadata.xmp is not None
    assert b"of IPTC" not in metadata.xmp
    assert b"<photoshop:Headline>News</photoshop:Headline>" in metadata.xmp


def test_texts_of_png_are_kept() -> None:
    texts = PngInfo()
    for key, text in {
        "Title": "Boat",
        "Description": "a red boat",
        "Software": "x",
        "source": "scan",
        "date:create": "2024",
    }.items():
        texts.add_text(key, text)
    metadata = load(saved(Image.new("L", (8, 8)), pnginfo=texts)).metadata
    assert metadata.caption == "a red boat"
    assert metadata.xmp is not None
    assert metadata.xmp.count(b"<dc:") == 2
    texts.add_text("workflow", "{}")
    with pytest.warns(ConversionWarning, match="the text 'workflow' cannot be kept"):
        load(saved(Image.new("L", (8, 8)), pnginfo=texts))


@pytest.mark.parametrize(
    ("comment", "kept"),
    [(b"seen at noon", True), (b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62)", False), (b"\0", False)],
)
@pytest.mark.parametrize("form", ["JPEG", "GIF"])
def test_comments_are_kept_but_those_of_encoders(form: str, comment: bytes, kept: bool) -> None:
    xmp = load(saved(Image.new("L", (8, 8)), form, comment=comment)).metadata.xmp
    assert xmp == (with_properties(None, {"exif:UserComment": (comment.decode(),)}) if kept else None)


@pytest.mark.parametrize(
    ("comment", "caption"),
    [
        (b"ASCII\0\0\0a red boat on a lake", "a red boat on a lake"),
        (b"UNICODE\0" + "ein grünes Boot am See".encode("utf-16-be"), "ein grünes Boot am See"),
        (b"UNICODE\0" + "ein grünes Boot am See".encode("utf-16-le"), "ein grünes Boot am See"),
        (b"JIS\0\0\0\0\0a red boat on a lake", "a red boat on a lake"),
        (b"ASCII\0\0\0oplus_32", None),
        (b"ASCII\0\0\0filter: 0; mask: 0; lux index value", None),
        (b"UNICODE\0" + "a boat\nSteps: 20, Sampler: Euler a".encode("utf-16-be"), None),
        (b"\0" * 64, None),
    ],
)
def test_user_comments_that_are_captions(comment: bytes, caption: str | None) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    image = Image.new("L", (8, 8))
    image.info["exif"] = exif.tobytes()
    assert caption_from_metadata(image) == caption
