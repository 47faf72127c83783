"""Alpha: lossless, and refused where it is damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.image_files import noise, saved
from tacit.errors import CorruptFile
from tacit.image import decode_alpha, encode_alpha


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), top=st.integers(0, 255), seed=st.integers(0, 99))
def test_alpha_is_lossless(width: int, height: int, top: int, seed: int) -> None:
    alpha = noise(height, width, seed=seed).clip(0, top)
    payload = encode_alpha(alpha)
    assert np.array_equal(decode_alpha(payload, width, height), alpha)
    assert top > 0 or payload == b"\0\0"


ALPHA = encode_alpha(noise(8, 8))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\0\1\2",
        b"\2\0",
        b"\1",
        ALPHA[:20],
        ALPHA[:-30],
        b"\1" + saved(Image.new("L", (8, 9))),
        b"\1" + saved(Image.new("1", (8, 8))),
        b"\1" + saved(Image.new("RGB", (8, 8))),
        b"\1" + saved(Image.new("I;16", (8, 8))),
        b"\1" + saved(Image.new("L", (8, 8)), "WEBP"),
        ALPHA[:60] + bytes([ALPHA[60] ^ 1]) + ALPHA[61:],
    ],
)
def test_damaged_alpha_is_refused(payload: bytes) -> None:
    with pytest.raises(CorruptFile, match="alpha"):
        decode_alpha(payload, 8, 8)
