"""PSNR of arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tacit.errors import InvalidInput
from tacit.evaluation.metrics import psnr


def test_psnr() -> None:
    black = np.zeros((4, 5, 3), np.uint8)
    assert psnr(black, black) == math.inf
    assert psnr(black, black + np.uint8(255)) == pytest.approx(0)
    assert psnr(black + np.uint8(10), black) == pytest.approx(28.1308, abs=1e-4)
    with pytest.raises(InvalidInput, match="PSNR of"):
        psnr(black, np.zeros((4, 5, 1), np.uint8))
