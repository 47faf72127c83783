"""Structural dissimilarity, beside MS-SSIM."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.training import (
    noisy_images,
)
from tacit.evaluation.metrics.ssim import MsSsim
from tacit.models.ssim_loss import structural_dissimilarity


@pytest.mark.parametrize("noise", [0.01, 0.04])
def test_structure_is_what_ms_ssim_lacks_to_first_order(noise: float) -> None:
    x, y = noisy_images(256, noise)
    lacking = structural_dissimilarity(y, x).mean(dim=(1, 2))
    for i in range(2):
        a, b = ((t[i].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8) for t in (x, y))
        assert float(lacking[i]) == pytest.approx(1 - MsSsim()(a, b), rel=0.05)
    assert float(structural_dissimilarity(x, x).abs().max()) < 1e-5


@pytest.mark.parametrize("size", [192, 256])
def test_structure_is_where_the_difference_is_and_has_a_gradient(size: int) -> None:
    x, noisy = noisy_images(size, 0.05)
    y = torch.where(torch.arange(size) < size // 2, noisy, x).requires_grad_()
    unlike = structural_dissimilarity(y, x)
    assert unlike.shape == (2, size // 8, size // 8)
    assert unlike[:, :, : size // 32].mean() > 20 * unlike[:, :, -size // 32 :].mean()
    unlike.mean().backward()
    assert y.grad is not None
    assert bool(y.grad.isfinite().all())
    with torch.no_grad():  # downhill it is less
        assert (
            structural_dissimilarity(y - 0.3 * y.grad * y.numel() ** 0.5 / y.grad.norm() * 0.05, x).mean()
            < unlike.mean()
        )
