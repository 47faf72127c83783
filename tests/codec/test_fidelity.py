"""How near a box is to the original, on any decoder."""

from __future__ import annotations

import math

import numpy as np
import pytest

from support.pictures import synthetic
from tacit.codec.fidelity import fidelity
from tacit.image.psnr import psnr


@pytest.mark.parametrize("side", [8, 64])
@pytest.mark.parametrize("noise", [1, 4, 16])
def test_a_decoder_of_less_precision_reaches_what_is_assured(side: int, noise: int) -> None:
    rng = np.random.default_rng(side + noise)
    original = synthetic(side, side).clip(40, 215)
    decoded = (original + rng.integers(-noise, noise, original.shape)).astype(np.uint8)
    found = fidelity("psnr", decoded, original)
    assert found.reached == psnr(decoded, original)
    for _ in range(20):
        elsewhere = decoded + rng.choice([-1, 0, 1], decoded.shape, p=[0.06, 0.88, 0.06])
        assert psnr(elsewhere.astype(np.uint8), original) >= found.assured
    assert found.assured > found.reached - (3 if noise == 1 else 1)


def test_nothing_lost_assures_a_finite_psnr() -> None:
    image = synthetic(8, 8)
    found = fidelity("psnr", image, image)
    assert found.reached == math.inf
    assert 55 < found.assured < 57


def test_scores() -> None:
    pytest.importorskip("ssimulacra2")
    image = synthetic(32, 24)
    found = fidelity("ssimulacra2", image, image)
    assert found.reached == pytest.approx(100)
    assert found.assured < found.reached
