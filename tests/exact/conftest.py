"""Files with their exact latents."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

import reference_decoder as reference
from support.exactness import EXPECTED, GOLDEN, Case
from support.pictures import synthetic
from tacit import container, weights
from tacit.codec import Codec


@pytest.fixture(scope="session")
def cases(uneven_codec: Codec, taco_codec: Codec, taco_fixed_codec: Codec, shipped_codec: Codec) -> dict[str, Case]:
    made = {}
    for name, one in {"tiny": uneven_codec, "taco": taco_codec, "taco-fixed": taco_fixed_codec}.items():
        quality = None if name == "taco-fixed" else 62.5
        data = one.encode(Image.fromarray(synthetic(150, 100)), "a boat", quality, steer=0)  # one quality for all
        stream = container.read(data).regions[0]
        assert stream
        size = one._model(one.path).latent_size
        stored, hundredths = reference.Weights(one.path), 6250 if quality else 0
        exact = reference.latents(stored, stream, size(100), size(150), hundredths, falling=True)
        assert np.abs(exact).max() > 32  # else there would be little to miss
        made[name] = Case(one.path, data, hashlib.sha256(exact.astype("<i2").tobytes()).hexdigest())
    for name in ("caption", "noise"):
        data = (GOLDEN / weights.DEFAULT / f"{name}.tacit").read_bytes()
        made[name] = Case(shipped_codec.path, data, EXPECTED[weights.DEFAULT][name]["latents"])
    return made
