"""Extended XMP of JPEG, both ways."""

from __future__ import annotations

import hashlib
import io
import struct

import pytest
from PIL import Image

from support.image_files import languages, saved, xmp_with
from tacit.image import ConversionWarning, load, to_pil
from tacit.image.export import to_bytes
from tacit.image.extended_xmp import split_packet
from tacit.image.xmp import xmp_descriptions

LONG = "".join(f"<dc:subject>{number}{'x' * 50_000}</dc:subject>" for number in range(3))


def segment(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content


def test_long_xmp_is_split_and_comes_back() -> None:
    image = Image.new("RGB", (9, 9))
    body = languages("dc:description", x_default="a boat &amp; a lake") + LONG
    image.info["xmp"] = xmp_with(body, f'dc:source="{"s" * 90_000}"').ljust(400_000, b" ")
    data = to_bytes(image, "jpg")
    assert data.count(b"http://ns.adobe.com/xmp/extension/\0") == 3
    with Image.open(io.BytesIO(data)) as back:
        standard = back.info["xmp"]
        assert len(standard) <= 65_502
        assert data.index(b"http://ns.adobe.com/xap/1.0/\0") < data.index(b"http://ns.adobe.com/xmp/extension/")
        assert "a boat & a lake" in xmp_descriptions(standard)
        parts = [c for n, c in getattr(back, "applist", ()) if n == "APP1" and b"/xmp/extension/\0" in c[:40]]
    extension = b"".join(part[75:] for part in parts)
    assert hashlib.md5(extension).hexdigest().upper().encode() in standard
    whole = load(data).metadata
    assert whole.caption == "a boat & a lake"
    assert whole.xmp is not None
    assert b"HasExtendedXMP" not in whole.xmp
    for part in (b"0xxxx", b"1xxxx", b"2xxxx", b"s" * 90_000):
        assert whole.xmp.count(part) == 1
    again = to_pil(load(data))
    del again.info["caption"]  # which would become alternative text
    assert load(to_bytes(again, "png")).metadata.xmp == whole.xmp


@pytest.mark.parametrize("damage", [b"", b"<not-xml", b"<!DOCTYPE x []><x/>"])
def test_a_damaged_extension_is_left_out(damage: bytes) -> None:
    guid = b"0123456789ABCDEF" * 2
    attributes = f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{guid.decode()}"'
    jpeg = saved(Image.new("L", (8, 8)), "JPEG", xmp=xmp_with("", attributes))
    if damage:
        head = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", len(damage), 0)
        jpeg = jpeg[:2] + segment(head + damage) + jpeg[2:]
    with pytest.warns(ConversionWarning, match="extended XMP is damaged or missing"):
        xmp = load(jpeg).metadata.xmp
    assert xmp == xmp_with("", 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" ')


def test_what_cannot_be_split() -> None:
    image = Image.new("RGB", (9, 9))
    image.info["xmp"] = xmp_with("x" * 65_504)
    with pytest.warns(ConversionWarning, match="XMP must have at most 65504 bytes, got .*: it is left out"):
        assert b"xmpmeta" not in to_bytes(image, "jpg")
    assert split_packet(b"x" * 100, 50) is None
    assert split_packet(xmp_with("x" * 1000), 500) is None
    packet = xmp_with("")
    assert split_packet(packet.replace(b"<?xpacket end", b" " * 100_000 + b"<?xpacket end"), len(packet)) == (
        packet,
        b"",
    )
