"""Extended XMP: how JPEG holds a packet that is larger than one segment (XMP specification, part 3, 1.1.3.1)."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tacit.container import MAX_METADATA

if TYPE_CHECKING:  # otherwise imported where there is XML: most images have none
    from xml.dom import minidom

_HEAD = b"http://ns.adobe.com/xmp/extension/\0"
_PART = struct.Struct(">32sII")  # GUID, size of the whole, offset of the part
_PART_SIZE = 65_400
_MOST = 4 << 20  # bytes of a packet that is taken apart
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NOTE = "http://ns.adobe.com/xmp/note/"
# Without anything unbounded in front, which a long run of blanks or letters would make slow.
_NAME = b":HasExtendedXMP"  # looked for first: where it is not there, the expression takes seconds for 16 MB to see it
_REFERENCE = re.compile(
    rb"""\w{1,32}:HasExtendedXMP\s*=\s*["']\s*([0-9A-Fa-f]{32})\s*["']"""
    rb"""|<(\w{1,32}:HasExtendedXMP)>\s*([0-9A-Fa-f]{32})\s*</\2>"""
)


def whole_packet(standard: bytes, segments: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a packet with what the segments of a JPEG extend it by.

    Where the extension is missing or damaged, the packet still refers to it.

    Args:
        standard: The packet of the first segment.
        segments: Names and contents of all segments, as in Pillow's `applist`.
    """
    reference = _REFERENCE.search(standard) if _NAME in standard else None
    if reference is None:
        return standard
    guid = (reference[1] or reference[3]).upper()
    extension = _assembled(guid, segments)
    if extension is None:
        return standard
    descriptions = _descriptions(extension)
    text, closing = standard[: reference.start()] + standard[reference.end() :], rb"</(?:[\w.-]+:)?RDF\s*>"
    places = [found.start() for found in re.finditer(closing, text)]
    if descriptions is None or not places:
        return standard
    return text[: places[-1]] + descriptions.encode() + text[places[-1] :]


def without_reference(packet: bytes) -> tuple[bytes, bool]:
    """Return a packet that refers to no extension, and whether it did."""
    if _NAME not in packet:
        return packet, False
    changed, count = _REFERENCE.subn(b"", packet)
    return changed, count > 0


def split_packet(packet: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """Return a packet as one that has at most `limit` bytes, and the segments of a JPEG with the rest of it.

    The largest properties go into the extension. None where the packet cannot be split.
    """
    body, mark, end = packet.rstrip(b"\0 \r\n\t").rpartition(b"<?xpacket end")
    packet = body.rstrip(b" \r\n\t") + mark + end  # without padding
    if len(packet) <= limit:
        return packet, b""
    import html
    from xml.dom import minidom

    document = _parsed(packet)
    if document is None:
        return None
    declared: dict[str, str] = {}
    for element in document.getElementsByTagName("*"):
        for name, value in element.attributes.items():
            if name.startswith("xmlns:") and declared.setdefault(name, value) != value:
                return None  # one prefix with two meanings
    moved = ""
    size = len(packet) + 200  # with the reference
    for length, node, parent in sorted(_properties(document), key=lambda item: -item[0]):
        if size <= limit:
            break
        if isinstance(node, minidom.Attr):
            moved += f"<{node.name}>{html.escape(node.value, quote=False)}</{node.name}>"
            parent.removeAttribute(node.name)
        else:
            moved += node.toxml()
            parent.removeChild(node)
        size -= length
    declared.setdefault("xmlns:x", "adobe:ns:meta/")
    names = "".join(f' {name}="{html.escape(value)}"' for name, value in declared.items())
    extension = (
        f"<x:xmpmeta{names}>"
        f'<r:RDF xmlns:r="{_RDF}"><r:Description r:about="">{moved}</r:Description></r:RDF></x:xmpmeta>'
    ).encode()
    guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    first = document.getElementsByTagNameNS(_RDF, "Description")[0]
    first.setAttribute("xmlns:xmpNote", _NOTE)
    first.setAttribute("xmpNote:HasExtendedXMP", guid)
    standard = "".join(node.toxml() for node in document.childNodes).encode()
    if len(standard) > limit or _parsed(extension) is None:
        return None
    parts = []
    for offset in range(0, len(extension), _PART_SIZE):
        part = _HEAD + _PART.pack(guid.encode(), len(extension), offset) + extension[offset : offset + _PART_SIZE]
        parts.append(b"\xff\xe1" + struct.pack(">H", 2 + len(part)) + part)
    return standard, b"".join(parts)


def _assembled(guid: bytes, segments: Sequence[tuple[str, bytes]]) -> bytes | None:
    """Return the extension of this GUID, or None where it is not whole."""
    parts = {}
    total = 0
    for name, content in segments:
        if name != "APP1" or not content.startswith(_HEAD) or len(content) < len(_HEAD) + _PART.size:
            continue
        owner, size, offset = _PART.unpack_from(content, len(_HEAD))
        if owner.upper() == guid:
            total = size
            parts[offset] = content[len(_HEAD) + _PART.size :]
    extension = b"".join(parts[offset] for offset in sorted(parts))
    return extension if 0 < len(extension) == total <= MAX_METADATA else None


def _descriptions(extension: bytes) -> str | None:
    """Return the descriptions of a packet as text that has all namespaces, or None in what is no XMP."""
    from xml.dom import minidom

    document = _parsed(extension)
    if document is None:
        return None
    text = ""
    for description in document.getElementsByTagNameNS(_RDF, "Description"):
        above = description.parentNode
        if above is None or above.localName != "RDF":
            continue
        while isinstance(above, minidom.Element):
            for name, value in above.attributes.items():
                if name.startswith("xmlns") and not description.hasAttribute(name):
                    description.setAttribute(name, value)
            above = above.parentNode
        text += description.toxml()
    return text


def _properties(document: minidom.Document) -> list[tuple[int, minidom.Attr | minidom.Element, minidom.Element]]:
    """Return the properties with their sizes, and the descriptions that they are in."""
    import html
    from xml.dom import minidom

    found: list[tuple[int, minidom.Attr | minidom.Element, minidom.Element]] = []
    for description in document.getElementsByTagNameNS(_RDF, "Description"):
        if description.parentNode is None or description.parentNode.localName != "RDF":
            continue
        found += [
            (len(node.toxml().encode()), node, description)
            for node in description.childNodes
            if isinstance(node, minidom.Element)
        ]
        for name in list(description.attributes.keys()):
            value = description.attributes[name]
            if ":" in name and not name.startswith(("xmlns:", "xml:")) and value.namespaceURI != _RDF:
                found.append((len(f' {name}="{html.escape(value.value, quote=False)}"'.encode()), value, description))
    return found


def _parsed(packet: bytes) -> minidom.Document | None:
    if len(packet) > _MOST or b"<!DOCTYPE" in packet:
        return None  # XMP has no entities, which an XML bomb is made of
    from xml.dom import minidom
    from xml.parsers.expat import ExpatError

    try:
        return minidom.parseString(packet.strip(b"\0 \r\n\t"))
    except (ExpatError, ValueError):
        return None
