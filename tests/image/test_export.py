"""Export: images as files of the usual formats."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from support.image_files import SRGB
from tacit.errors import InvalidInput
from tacit.image import ConversionWarning
from tacit.image.export import to_bytes


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_metadata_is_in_the_decoded_image(suffix: str) -> None:
    exif = Image.Exif()
    exif[315] = "somebody"  # Artist
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    image = Image.new("RGB", (16, 16))
    image.info.update(icc_profile=SRGB, exif=exif.tobytes(), xmp=xmp)
    with Image.open(io.BytesIO(to_bytes(image, suffix))) as back:
        assert back.info["icc_profile"] == SRGB
        assert back.getexif()[315] == "somebody"
        assert xmp in (back.info["xmp"] if isinstance(back.info["xmp"], bytes) else back.info["xmp"].encode())


def test_transparency_is_put_on_white_where_there_is_none() -> None:
    with pytest.warns(ConversionWarning, match="JPEG has no transparency"):
        data = to_bytes(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "jpg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_a_format_that_cannot_hold_the_image_is_invalid_input() -> None:
    with pytest.raises(InvalidInput, match="cannot be saved as WEBP"):
        to_bytes(Image.new("L", (16_384, 1)), "webp")
