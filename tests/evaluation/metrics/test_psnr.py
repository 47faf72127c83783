"""PSNR in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from support.metrics import image_metric, photo


def test_psnr() -> None:
    image = photo()
    image[image > 250] = 250
    assert image_metric("psnr")(image, image + 5) == pytest.approx(20 * math.log10(255 / 5))
    assert image_metric("psnr-y")(image, image + 5) == pytest.approx(20 * math.log10(255 / 5))
    green = image + np.array([0, 3, 0], np.uint8)
    assert image_metric("psnr")(image, green) == pytest.approx(20 * math.log10(255 / 3) + 10 * math.log10(3))
    assert image_metric("psnr-y")(image, green) == pytest.approx(20 * math.log10(255 / (3 * 0.587)))
    assert image_metric("psnr")(image, image) == math.inf
