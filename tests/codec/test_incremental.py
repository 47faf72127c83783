"""A file is decoded while its bytes arrive."""

from __future__ import annotations

import numpy as np
import pytest

import tacit
from support.codec_files import levels
from support.pictures import synthetic
from tacit import container
from tacit.codec import Codec, IncrementalDecoder
from tacit.errors import CorruptFile, ImageTooLarge, UnsupportedFile
from tacit.image.psnr import psnr


def test_images_become_finer_while_bytes_arrive(codec: Codec) -> None:
    image = synthetic(300, 200)
    data = codec.encode(image, quality=80)
    decoder = IncrementalDecoder(codec)
    first, fidelities = container.front_size(data), []
    for start in range(0, len(data), 50):
        decoder.feed(data[start : start + 50])
        assert decoder.received == min(start + 50, len(data))
        shown = decoder.image()
        assert (shown is None) == (decoder.received <= (first or 0))
        assert decoder.size == (None if shown is None else (300, 200))
        if shown is not None and start % 500 == 0:
            assert decoder.image() is shown
            fidelities.append(psnr(np.asarray(shown), np.asarray(image)))
    assert len(fidelities) > 3
    assert fidelities[-1] > fidelities[0] + 1
    assert np.array_equal(levels(decoder.close()), levels(codec.decode(data)))


def test_bytes_that_are_missing_are_an_error_at_the_end(codec: Codec) -> None:
    data = codec.encode(synthetic(60, 40))
    decoder = IncrementalDecoder(codec)
    with pytest.raises(UnsupportedFile, match="it is empty"):  # as of any empty file
        decoder.close()
    decoder.feed(data[:-1])
    assert decoder.image() is not None
    with pytest.raises(CorruptFile):
        decoder.close()
    decoder.feed(data[-1:] + b"more")
    with pytest.raises(CorruptFile, match="got 4 bytes after it"):
        decoder.image()


def test_what_is_no_file_is_refused_at_once(codec: Codec) -> None:
    with pytest.raises(UnsupportedFile):
        tacit.IncrementalDecoder(codec).feed(b"GIF89a, and more")
    data = bytearray(codec.encode(synthetic(60, 40)))
    with pytest.raises(ImageTooLarge):
        IncrementalDecoder(codec, max_pixels=100).feed(data)
    data[12] ^= 1
    with pytest.raises(CorruptFile):
        IncrementalDecoder(codec).feed(data)
