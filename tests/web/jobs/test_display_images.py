"""Images as the page shows them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from support.web_service import image_bytes
from tacit.web.jobs.display_images import open_upload


def test_an_image_is_shown_upright_in_srgb_and_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (40, 20), (200, 60, 30))
    upload = image_bytes(image, format="JPEG", exif=exif, icc_profile=profile, quality=95)
    uncompressed = open_upload(upload, 400, True, 10_000)
    compressed = open_upload(upload, 400, False, 10_000)
    assert (uncompressed.media_type, compressed.media_type) == ("image/bmp", "image/webp")
    assert (compressed.own_width, compressed.own_height) == (20, 40)
    assert compressed.width * compressed.height == pytest.approx(400, rel=0.06)
    with Image.open(io.BytesIO(uncompressed.data)) as first, Image.open(io.BytesIO(compressed.data)) as second:
        assert np.array_equal(np.asarray(first), np.asarray(second))
        assert second.size == (compressed.width, compressed.height)
        assert not {"exif", "icc_profile", "xmp"} & second.info.keys()
        assert second.getpixel((3, 3)) == pytest.approx((200, 60, 30), abs=3)
