"""Structural dissimilarity, beside MS-SSIM."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.training import (
    noisy_images,
)
from tacit.evaluation.metrics.ssim import MsSsim
from tacit.models import ssim_loss
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


@pytest.mark.parametrize(("height", "width"), [(11, 42), (75, 43)])
def test_the_blur_by_blocks_is_the_blur_by_whole_matrices(height: int, width: int) -> None:
    x = torch.rand(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    whole = ssim_loss._band(height - 10, x.device).double() @ x @ ssim_loss._band(width - 10, x.device).double().T
    blocked = ssim_loss._BlockedBlur.apply(x.float())  # type: ignore[no-untyped-call]
    torch.testing.assert_close(blocked, whole.float())
    weights = torch.rand_like(whole)
    of_whole, of_blocked = (torch.autograd.grad((weights * result).sum(), x)[0] for result in (whole, blocked))
    torch.testing.assert_close(of_blocked, of_whole, rtol=1e-4, atol=1e-5)
