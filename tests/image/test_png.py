"""Large texts and profiles of a PNG do not matter to its pixels."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from support.image_files import SRGB, png, xmp_with
from tacit.image import ConversionWarning, load
from tacit.image.png import without_large_chunks

ROWS = bytes(range(12))
MORE = PngImagePlugin.MAX_TEXT_CHUNK + 1


def chunks_of(*chunks: tuple[bytes, bytes], behind: bool = False) -> bytes:
    data = png(2, 2, 8, 2, ROWS, *chunks)
    if not behind:
        return data
    head, pixels = data[:33], data.index(b"IDAT") - 4
    return head + data[pixels:-12] + data[33:pixels] + data[-12:]


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * MORE)),
        (b"iTXt", b"workflow\0\1\0de\0Ablauf\0" + zlib.compress(b"x" * MORE)),
        (b"tEXt", b"workflow\0" + b"x" * (PngImagePlugin.MAX_TEXT_MEMORY + 1)),
    ],
)
def test_large_texts_are_left_out(kind: bytes, data: bytes, behind: bool) -> None:
    image = chunks_of((kind, data), (b"gAMA", (45455).to_bytes(4)), behind=behind)
    with pytest.raises(ValueError, match="MAX_TEXT"):
        Image.open(io.BytesIO(image)).load()
    with pytest.warns(ConversionWarning, match="the text 'workflow': larger than Pillow's limits") as caught:
        assert load(image).pixels.tobytes() == ROWS
    assert len(caught) == 1


def test_many_texts_are_more_than_the_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_MEMORY", 25)
    image = chunks_of(*((b"tEXt", b"%d\0" % number + bytes(10)) for number in range(4)))
    with pytest.warns(ConversionWarning, match="the text '2', the text '3': larger"):
        assert load(image).pixels.tobytes() == ROWS


def test_large_profile_and_xmp_are_kept(tmp_path: Path) -> None:
    icc = SRGB.ljust(MORE, b"\0")
    xmp = xmp_with("").ljust(MORE, b" ")
    image = chunks_of(
        (b"iCCP", b"sRGB\0\0" + zlib.compress(icc)), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))
    )
    path = tmp_path / "large.png"
    path.write_bytes(image)
    for source in (image, path, io.BytesIO(image)):
        metadata = load(source).metadata
        assert (metadata.icc, metadata.xmp) == (icc, xmp)


def test_a_profile_beyond_every_limit_is_left_out() -> None:
    image = chunks_of((b"iCCP", b"bomb\0\0" + zlib.compress(bytes((16 << 20) + 1))))
    with pytest.warns(ConversionWarning, match="the ICC profile: larger"):
        assert load(image).metadata.icc is None


@pytest.mark.parametrize("data", [b"", b"GIF89a", chunks_of()[:40], chunks_of((b"zTXt", b"a\0\0damaged"))])
def test_other_files_are_as_they_are(data: bytes) -> None:
    file = io.BytesIO(b"before" + data)
    file.seek(6)
    assert without_large_chunks(file, "image") == (file, {})
    assert file.tell() == 6
