"""Properties that are added to XMP."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import pytest
from PIL import Image

from support.image_files import languages, xmp_with
from tacit.image import ConversionWarning, load
from tacit.image.export import to_bytes
from tacit.image.xmp import with_properties, xmp_descriptions

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
BOTH = {"dc:description": ("a <boat>",), "Iptc4xmpCore:AltTextAccessibility": ("a <boat>",)}


@pytest.mark.parametrize(
    "packet",
    [
        None,
        xmp_with(""),
        b"<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>",
        b"<RDF xmlns='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><Description about=''/></RDF>",
        xmp_with("").replace(b'rdf:about=""', b'rdf:about="&quot;&amp;"') + b"\0",
    ],
)
def test_properties_are_added_and_the_rest_stays(packet: bytes | None) -> None:
    added = with_properties(packet, BOTH)
    assert added is not None
    assert [text for text in xmp_descriptions(added) if text] == ["a <boat>"] * 2
    assert with_properties(added, BOTH) == added
    if packet is not None and b"/>" not in packet[-5:]:
        rest = re.sub(rb"<rdf:Description xmlns:rdf.*?</rdf:Description>", b"", added)
        assert rest == packet.rstrip(b"\0")


@pytest.mark.parametrize("packet", [b"<not-xml", b"<x/>", b"<!DOCTYPE x []>" + xmp_with("")])
def test_what_is_no_xmp_stays(packet: bytes) -> None:
    assert with_properties(packet, BOTH) is None


def captioned(caption: str, xmp: bytes | None = None) -> Image.Image:
    image = Image.new("RGB", (16, 16))
    image.info["caption"] = caption
    if xmp is not None:
        image.info["xmp"] = xmp
    return image


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff"])
def test_a_stored_caption_becomes_alternative_text(suffix: str) -> None:
    data = to_bytes(captioned('a "red" boat & a lake'), suffix)
    with Image.open(io.BytesIO(data)) as back:
        packet = back.info.get("xmp") or back.info["XML:com.adobe.xmp"].encode()
    root = ElementTree.fromstring(packet.decode().strip("\ufeff"))
    for name in ("{http://purl.org/dc/elements/1.1/}description", f"{{{IPTC}}}AltTextAccessibility"):
        (item,) = root.iterfind(f".//{name}/{RDF}Alt/{RDF}li")
        assert item.attrib == {"{http://www.w3.org/XML/1998/namespace}lang": "x-default"}
        assert item.text == 'a "red" boat & a lake'
    assert [text for text in xmp_descriptions(packet) if text] == ['a "red" boat & a lake'] * 2
    assert load(data).metadata.caption == 'a "red" boat & a lake'


def test_descriptions_in_xmp_stay() -> None:
    description = languages("dc:description", x_default="described")
    data = to_bytes(captioned("a boat", xmp_with(description)), "png")
    xmp = load(data).metadata.xmp
    assert xmp is not None
    assert [text for text in xmp_descriptions(xmp) if text] == ["described", "a boat"]
    full = xmp_with(description + languages("Iptc4xmpCore:AltTextAccessibility", x_default="alternative"))
    with pytest.warns(ConversionWarning, match="the caption is left out"):
        assert load(to_bytes(captioned("a boat", full), "png")).metadata.xmp == full
    with pytest.warns(ConversionWarning, match="BMP holds no metadata: the caption is left out"):
        to_bytes(captioned("a boat"), "bmp")
