"""XMP: finding an image's packet, and the descriptions in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from PIL import Image

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_PROPERTIES = (
    "{http://purl.org/dc/elements/1.1/}description",
    "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}AltTextAccessibility",
)


def xmp_packet(image: Image.Image) -> bytes | None:
    """Return an image's XMP packet as it is, or None if it has none."""
    for key in ("xmp", "XML:com.adobe.xmp"):
        packet = image.info.get(key)
        if isinstance(packet, str):
            packet = packet.encode("utf-8", "replace")
        if isinstance(packet, bytes) and packet.strip(b"\0 \r\n\t"):
            return packet
    return None


def reset_xmp_orientation(packet: bytes) -> bytes:
    """Return the same packet with orientation 1, where it has one."""
    return re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>)\s*)[0-9]', rb"\g<1>1", packet)


def without_xmp_thumbnails(packet: bytes) -> bytes:
    """Return the same packet without thumbnails of the image."""
    return re.sub(rb"<(\w+:Thumbnails)\b[^>]*(?:/>|>.*?</\1\s*>)", b"", packet, flags=re.DOTALL)


def xmp_descriptions(packet: bytes) -> Iterator[str | None]:
    """Return the texts that describe the image, the best first: dc:description, then IPTC's alternative text.

    Of one property the default language comes first, then English, then the others. None stands for a missing text.
    """
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
    for name in _PROPERTIES:
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
