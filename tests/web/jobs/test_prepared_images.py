"""The images that a worker keeps analysed."""

from __future__ import annotations

import pytest

from support.web_service import PIXEL_LIMIT
from tacit.codec import Codec, EncodeOptions
from tacit.errors import (
    UnsupportedFile,
)
from tacit.web.jobs.coding import EncodeArguments
from tacit.web.jobs.prepared_images import PreparedImages


def test_a_worker_keeps_what_it_has_analysed(codec: Codec, monkeypatch: pytest.MonkeyPatch, upload: bytes) -> None:
    monkeypatch.setattr("tacit.web.workers.codecs._codec", codec)
    kept = PreparedImages(pixels=40_000)
    plain, named = EncodeArguments(), EncodeArguments(caption="a dog")
    first = kept.get(upload, "a", plain, PIXEL_LIMIT)
    assert kept.get(upload, "a", EncodeArguments(options=EncodeOptions(quality=7)), PIXEL_LIMIT) is first
    other = kept.get(b"not read", "a", named, PIXEL_LIMIT)  # the photograph is known
    assert other.raster is first.raster
    with pytest.raises(UnsupportedFile):
        kept.get(b"not read", "b", plain, PIXEL_LIMIT)
    kept.get(upload, "c", plain, PIXEL_LIMIT)  # 45,000 pixels: the oldest goes
    assert kept.get(upload, "a", named, PIXEL_LIMIT) is other
    assert kept.get(upload, "a", plain, PIXEL_LIMIT) is not first
