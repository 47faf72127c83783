"""XMP: finding an image's packet, the descriptions in it, and adding properties to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from PIL import Image

from tacit.image.extended_xmp import whole_packet

if TYPE_CHECKING:  # otherwise imported where there is XML: most images have none
    from xml.etree import ElementTree

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}
# The kinds of properties that are no single text: a text by language, or a list.
_KINDS = {
    **dict.fromkeys(("dc:description", "dc:title", "dc:rights", "exif:UserComment"), "Alt"),
    "Iptc4xmpCore:AltTextAccessibility": "Alt",
    "dc:creator": "Seq",
    **dict.fromkeys(("dc:subject", "photoshop:SupplementalCategories", "Iptc4xmpCore:SubjectCode"), "Bag"),
}
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{_RDF[1:-1]}"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
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
            return whole_packet(packet, getattr(image, "applist", ()))  # only JPEG files have one
    return None


def with_properties(packet: bytes | None, properties: Mapping[str, tuple[str, ...]]) -> bytes | None:
    """Return a packet with those of some properties that it does not have; everything in it stays as it is.

    Args:
        packet: A packet; None for a new one.
        properties: The values of each property, by its name with the usual prefix, such as `dc:description`.

    Returns:
        The packet, or None where it is none that can be read.
    """
    import html

    text = _EMPTY if packet is None else packet.decode("utf-8", "replace").rstrip("\0")
    rdf = _rdf(text)
    if rdf is None:
        return None
    about = ""
    there = set()
    for description in rdf.iterfind(_RDF + "Description"):
        about = about or description.get(_RDF + "about", "")
        there |= {*description.keys(), *(child.tag for child in description)}
    body, prefixes = "", set()
    for name, values in properties.items():
        prefix, _, local = name.partition(":")
        if f"{{{_NAMESPACES[prefix]}}}{local}" not in there and values:
            body += _element(name, values)
            prefixes.add(prefix)
    if not body:
        return packet
    names = "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in sorted(prefixes))
    added = (
        f'<rdf:Description xmlns:rdf="{_RDF[1:-1]}"{names} rdf:about="{html.escape(about)}">{body}</rdf:Description>'
    )
    text, count = re.subn(r"(?s)(.*)(</(?:[\w.-]+:)?RDF\s*>)", lambda found: found[1] + added + found[2], text, count=1)
    if not count:
        text = re.sub(
            r"<((?:[\w.-]+:)?RDF)([^>]*?)/>", lambda found: f"<{found[1]}{found[2]}>{added}</{found[1]}>", text
        )
    return text.encode() if _rdf(text) is not None else None


def _element(name: str, values: tuple[str, ...]) -> str:
    import html

    kind = _KINDS.get(name)
    if kind is None:
        return f"<{name}>{html.escape(values[0], quote=False)}</{name}>"
    language = ' xml:lang="x-default"' if kind == "Alt" else ""
    shown = values[:1] if kind == "Alt" else values
    items = "".join(f"<rdf:li{language}>{html.escape(value, quote=False)}</rdf:li>" for value in shown)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


def reset_xmp_orientation(packet: bytes) -> bytes:
    """Return the same packet with orientation 1, where it has one."""
    return re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>)\s*)[0-9]', rb"\g<1>1", packet)


def xmp_as_srgb(packet: bytes) -> bytes:
    """Return the same packet with sRGB for the image's colours, where it says which they are."""
    return re.sub(rb'(exif:ColorSpace(?:\s*=\s*["\']|>)\s*)[0-9]+', rb"\g<1>1", packet)


def without_xmp_thumbnails(packet: bytes) -> bytes:
    """Return the same packet without thumbnails of the image, and without the original that phones put there."""
    packet = re.sub(rb"<(\w+:Thumbnails|GImage:Data)\b[^>]*(?:/>|>.*?</\1\s*>)", b"", packet, flags=re.DOTALL)
    return re.sub(rb"\sGImage:Data\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", packet)


def without_gain_map(packet: bytes) -> bytes:
    """Return the same packet without what it says of a gain map, and of the images that stand behind the first one."""
    if b"hdr-gain-map" not in packet:
        return packet
    packet = re.sub(rb"<((?:hdrgm|G?Container):\w+)\b[^>]*(?:/>|>.*?</\1\s*>)", b"", packet, flags=re.DOTALL)
    return re.sub(rb"\shdrgm:\w+\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", packet)


def xmp_descriptions(packet: bytes) -> Iterator[str | None]:
    """Return the texts that describe the image, the best first: dc:description, then IPTC's alternative text.

    Of one property the default language comes first, then English, then the others. None stands for a missing text.
    """
    rdf = _rdf(packet.decode("utf-8", "replace"))
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


def _rdf(text: str) -> ElementTree.Element | None:
    """Return the element with the properties, or None in what is no XMP."""
    if "<!DOCTYPE" in text:
        return None  # XMP has none, and entities are what an XML bomb is made of
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(text.strip("\0\ufeff \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return None
    return root if root.tag == _RDF + "RDF" else root.find(f".//{_RDF}RDF")


def _language_rank(item: ElementTree.Element) -> int:
    language = item.get(_LANGUAGE, "").lower()
    return 0 if language == "x-default" else 1 if language.startswith("en") else 2
