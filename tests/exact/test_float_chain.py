"""Frozen chains through which gradients pass: the same integers as the chains themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tacit.exact.arithmetic import DOUBLE, SINGLE, Arithmetic
from tacit.exact.float_chain import FloatChain
from tacit.exact.formats import IntegerFormat
from tacit.exact.freezing import freeze

PLANES = nn.Sequential(
    nn.Conv2d(6, 32, 1),
    nn.ReLU(),
    nn.PixelShuffle(2),
    nn.Conv2d(8, 8, 3, padding=1, groups=8),
    nn.Conv2d(8, 12, 3, padding=1),
    nn.ReLU(),
    nn.ConvTranspose2d(12, 5, 5, stride=2, padding=2, output_padding=1),
)
ROWS = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))


@pytest.mark.parametrize(("net", "shape"), [(PLANES, (2, 6, 5, 7)), (ROWS, (2, 9, 6))])
@pytest.mark.parametrize("arithmetic", [SINGLE, DOUBLE])
def test_the_integers_are_those_of_the_chain(
    net: nn.Sequential, shape: tuple[int, ...], arithmetic: Arithmetic
) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(-40, 41, shape, generator=generator).float()
    chain = freeze(net, IntegerFormat.uniform(6, 16, 40), x / 16, arithmetic=arithmetic, clamped=True).chain
    view = FloatChain(chain)
    with torch.no_grad():
        expected: Tensor = chain(x.to(arithmetic.dtype)).float()
    found = view(x).detach()
    assert found.shape == expected.shape
    # sums of float64 chains are rounded in float32
    assert float((found - expected).abs().max()) <= (
        0 if arithmetic is SINGLE else 1e-6 * float(expected.abs().max()) + 1
    )


def test_gradients_pass_the_rounding() -> None:
    x = torch.randint(-40, 41, (1, 9, 6)).float().requires_grad_()
    chain = freeze(ROWS, IntegerFormat.uniform(6, 16, 40), x.detach() / 16).chain
    FloatChain(chain)(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.any())
