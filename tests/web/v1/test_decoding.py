"""`POST /v1/decode`."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tacit.codec import Codec
from tacit.errors import (
    CorruptFile,
    InvalidInput,
    MissingWeights,
)
from tacit.web.client import Client


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_files_become_images_of_the_format_that_is_accepted(client: Client, tacit_file: bytes, kind: str) -> None:
    decoded = client.decode(tacit_file, media_type=f"image/{kind.lower()}")
    assert (decoded.media_type, decoded.width, decoded.height) == (f"image/{kind.lower()}", 150, 100)
    with Image.open(io.BytesIO(decoded.data)) as image:
        assert (image.format, image.size) == (kind, (150, 100))
        image.load()


def test_parts_and_damage(client: Client, tacit_file: bytes) -> None:
    part = client.decode(tacit_file, box=(10, 20, 74, 50))
    assert (part.width, part.height) == (64, 30)
    damaged = bytearray(tacit_file)
    damaged[-20] ^= 1
    with pytest.raises(CorruptFile, match="checksum"):
        client.decode(bytes(damaged))
    salvaged = client.decode(bytes(damaged), salvage=True)
    assert salvaged.width == 150
    assert "region 0 is lost" in salvaged.warnings[0]


def test_the_beginning_of_a_file_is_decoded_where_that_is_asked_for(client: Client, tacit_file: bytes) -> None:
    cut = tacit_file[: len(tacit_file) // 2]
    with pytest.raises(CorruptFile):
        client.decode(cut)
    part, whole = client.decode(cut, partial=True), client.decode(tacit_file)
    assert (part.width, part.height) == (150, 100)
    assert part.data != whole.data


def test_thumbnails(client: Client, tacit_file: bytes) -> None:
    thumbnail = client.decode(tacit_file, max_side=30)
    assert (thumbnail.width, thumbnail.height) == (30, 20)
    whole = client.decode(tacit_file, max_side=1000, box=(10, 20, 74, 50))
    assert (whole.width, whole.height) == (64, 30)
    with pytest.raises(InvalidInput, match="max_side"):
        client.decode(tacit_file, max_side=0)


def test_weights_that_are_not_here_are_named(client: Client, uneven_codec: Codec, upload: bytes) -> None:
    with pytest.raises(MissingWeights, match=r"^this file needs weights [0-9a-f]{16} .* are not here$"):  # and no path
        client.decode(uneven_codec.encode(upload))


def test_metadata_can_be_left_out(client: Client) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    stream = io.BytesIO()
    Image.new("RGB", (32, 32)).save(stream, "PNG", exif=exif)
    file = client.encode(stream.getvalue()).data
    assert b"Maker" in client.decode(file).data
    assert b"Maker" not in client.decode(file, keep_metadata=False).data
