"""Networks are frozen to integers, or refused where a sum could reach the bound."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from support.exactness import run_reference
from tacit.errors import NotExact
from tacit.exact.formats import IntegerFormat, OutputFormat
from tacit.exact.freezing import FrozenNetwork, freeze
from tacit.exact.layers import FrozenChain


def every_layer() -> nn.Sequential:
    """A network with each kind of layer that can be frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return nn.Sequential(
            nn.Conv2d(3, 16, 1),
            nn.ReLU(),
            nn.PixelShuffle(2),
            nn.Conv2d(4, 4, 3, padding=1, groups=4),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(6, 5, 5, stride=2, padding=2, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(5, 5, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.Conv2d(5, 3, 5, padding=2),
        )


INPUTS = IntegerFormat.uniform(3, 256, 2**16)


def frozen_network() -> tuple[nn.Sequential, FrozenNetwork]:
    net = every_layer()
    x = torch.linspace(-3, 3, 2 * 3 * 3 * 4).view(2, 3, 3, 4)
    return net, freeze(net, INPUTS, x)


@torch.no_grad()
def test_a_frozen_network_gives_what_the_float_one_gives() -> None:
    net, frozen = frozen_network()
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    integers = (x.double() * INPUTS.per_one[:, None, None]).round()
    found = frozen.chain(integers) / frozen.format.per_one[:, None, None]
    expected = net(integers.float() / 256)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_a_frozen_network_is_integer_arithmetic() -> None:
    chain = frozen_network()[1].chain
    generator = torch.Generator().manual_seed(2)
    for size in (int(INPUTS.limit[0]), 100):  # everything clamps at the largest inputs
        x = torch.randint(-size, size + 1, (2, 3, 2, 3), generator=generator).double()
        expected = run_reference(chain.describe(), chain.integers(), x)
        assert torch.equal(chain(x).long(), expected)
    restored = FrozenChain.restore(chain.describe(), chain.integers())
    assert torch.equal(restored(x).long(), expected)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.Conv2d(4, 4, 3),
        nn.ConvTranspose2d(4, 4, 3),
        nn.GELU(),
        nn.LayerNorm(4),
    ],
)
@torch.no_grad()
def test_what_cannot_be_frozen_is_refused(module: nn.Module) -> None:
    with pytest.raises(NotExact, match="cannot freeze"):
        freeze(nn.Sequential(module), IntegerFormat.uniform(4, 1, 1), torch.ones(1, 4, 4, 4))


def sum_of(weights_: list[float], limit: int) -> FrozenChain:
    """Freeze one sum whose inputs reach `limit`; of equal weights 1.0 each becomes 2^14."""
    net = nn.Linear(len(weights_), 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([weights_]))
        one = torch.ones(1, dtype=torch.float64)
        target = OutputFormat(one, 0 * one, -(2.0**52) * one, 2.0**52 * one)
        units = IntegerFormat.uniform(len(weights_), 1, limit)
        return freeze(nn.Sequential(net), units, torch.ones(1, 1, len(weights_)), target).chain


def test_a_network_whose_sums_could_reach_the_bound_is_not_frozen() -> None:
    sum_of([1.0] * 8, 2**36 - 1)  # 8 * 2^14 * (2^36 - 1) < 2^53
    with pytest.raises(NotExact, match=r"2\^53"):
        sum_of([1.0] * 8, 2**36)
    sum_of([1.0] * 7 + [-0.5], 2**36)
    with pytest.raises(NotExact, match="channel 0"):
        sum_of([1.0] * 7 + [-1.0], 2**36)  # the bound holds whatever the signs


def test_a_wide_network_is_not_frozen() -> None:
    """So it is with the limits in use: 2^20 * 2^14 * 2^19."""
    with pytest.raises(NotExact, match="could reach"):
        sum_of([1.0] * 2**19, 2**20)
    sum_of([1.0] * (2**19 - 1), 2**20)
