"""Networks are frozen to integers, or refused where a sum could reach the bound."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from support.exactness import run_reference
from tacit.errors import NotExact
from tacit.exact.arithmetic import DOUBLE, SINGLE, Arithmetic
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


INPUTS = {DOUBLE: IntegerFormat.uniform(3, 256, 2**16), SINGLE: IntegerFormat.uniform(3, 256, 2**10)}


def frozen_network(arithmetic: Arithmetic) -> tuple[nn.Sequential, FrozenNetwork]:
    net = every_layer()
    x = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(3))
    return net, freeze(net, INPUTS[arithmetic], x, arithmetic=arithmetic, clamped=arithmetic is SINGLE)


@pytest.mark.parametrize(("arithmetic", "tolerance"), [(DOUBLE, 1e-3), (SINGLE, 1e-2)])
@torch.no_grad()
def test_a_frozen_network_gives_what_the_float_one_gives(arithmetic: Arithmetic, tolerance: float) -> None:
    net, frozen = frozen_network(arithmetic)
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)).clamp(-2.5, 2.5)
    integers = (x.to(arithmetic.dtype) * 256).round()
    found = frozen.chain(integers) / frozen.format.per_one[:, None, None]
    expected = net(integers.float() / 256)
    assert (found - expected).abs().max() < tolerance * expected.abs().max()


@pytest.mark.parametrize("arithmetic", [DOUBLE, SINGLE])
def test_a_frozen_network_is_integer_arithmetic(arithmetic: Arithmetic) -> None:
    chain = frozen_network(arithmetic)[1].chain
    generator = torch.Generator().manual_seed(2)
    for size in (2**16, 100):  # everything clamps at the largest inputs
        x = torch.randint(-size, size + 1, (2, 3, 2, 3), generator=generator).to(arithmetic.dtype)
        expected = run_reference(chain.describe(), chain.integers(), x)
        found = chain(x)
        assert found.dtype == arithmetic.dtype
        assert torch.equal(found.long(), expected)
        assert torch.equal(chain(x.double()).long(), expected)  # as where float32 products are not exact
    restored = FrozenChain.restore(chain.describe(), chain.integers(), arithmetic)
    assert torch.equal(restored(x).long(), expected)


@torch.no_grad()
def test_in_float32_every_channel_has_its_own_scale() -> None:
    """Weights of very different sizes cost no channel its bits; those that a shuffle merges share a scale."""
    net = every_layer()
    first: Any = net[0]
    first.weight *= torch.logspace(-2, 2, 16)[:, None, None, None]
    x = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(3))
    chain = freeze(net, INPUTS[SINGLE], x, arithmetic=SINGLE, clamped=True).chain
    layers: Any = chain.layers
    for layer in layers:
        assert (layer.integers()["weight"].abs().flatten(0, -2).amax(dim=0) > 2**5).all()
    integers = (x * 256).round()
    assert (chain(integers)[:, 0].abs().amax() > 100).all()


@torch.no_grad()
def test_weights_are_rounded_together() -> None:
    """Inputs that go together make up for each other's rounding, so that sums err less than by rounding alone."""
    generator = torch.Generator().manual_seed(5)
    few = torch.randn(2000, 8, generator=generator)
    rows = (few @ torch.randn(8, 256, generator=generator)).relu()[None]  # 256 inputs of which 8 decide
    linear = nn.Linear(256, 20)
    net = nn.Sequential(linear)
    linear.weight.copy_(torch.randn(20, 256, generator=generator) / 16)
    per_one = 1023 / float(rows.max())
    ends = torch.zeros(256, dtype=torch.float64), torch.full((256,), 1023.0, dtype=torch.float64)
    inputs = IntegerFormat(torch.full((256,), per_one, dtype=torch.float64), *ends)
    frozen = freeze(net, inputs, rows[:, :1000], arithmetic=SINGLE)
    integers = (rows[:, 1000:] * per_one).round()

    def error(weight: Tensor, bias: Tensor) -> Tensor:
        expected: Tensor = linear(integers / per_one).double()
        found = integers.double() @ weight + bias
        return (found / frozen.format.per_one - expected)[0].std(dim=0)

    layer: Any = frozen.chain.layers[0]
    alone = linear.weight.double().T / per_one * frozen.format.per_one * torch.exp2(layer.shift.double())
    together = error(layer.weight.double(), layer.bias.double())
    assert together.mean() < 0.5 * error(alone.round() / torch.exp2(layer.shift.double()), layer.bias.double()).mean()


def test_weights_are_as_fine_as_the_bound_allows() -> None:
    """A shift more by one would let a sum of some channel reach the bound, or a weight more than 16 bits."""
    net, frozen = frozen_network(SINGLE)
    low, high = INPUTS[SINGLE].low, INPUTS[SINGLE].high
    layers: Any = frozen.chain.layers
    stored = iter(layers)
    for spec in frozen.chain.specs:
        if spec.kind == "shuffle":
            low, high = low[::4], high[::4]
            continue
        layer = next(stored)
        largest = layer.largest_sum(low, high)
        weight = layer.integers()["weight"].long().abs().flatten(0, -2).amax(dim=0)
        assert (largest < 2**24).all()
        assert ((2 * largest > 0.99 * 2**24) | (2 * weight > 0.99 * 2**15)).all()
        low, high = layer.low.double(), layer.high.double()
    assert len(net) > len(layers)


def test_a_proof_fails_where_inputs_are_larger() -> None:
    chain = frozen_network(SINGLE)[1].chain
    low, high = chain.prove(INPUTS[SINGLE].low, INPUTS[SINGLE].high, SINGLE)
    assert (low < 0).all()
    assert (high > 0).all()
    assert len(low) == 3
    chain.prove(*INPUTS[DOUBLE].ends, SINGLE)  # the chain clamps what it takes
    chain.limits = None
    with pytest.raises(NotExact, match=r"point layer 0, channel \d+: sums must stay below 2\^24 to be exact, but one"):
        chain.prove(*INPUTS[DOUBLE].ends, SINGLE)
    chain.prove(*INPUTS[DOUBLE].ends, DOUBLE)


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


def sum_of(weights_: list[float], limit: int, arithmetic: Arithmetic, low: int | None = None) -> Any:
    """Freeze one sum whose inputs reach `limit`, and return its layer; 1.0 becomes 2^14 at most."""
    net = nn.Linear(len(weights_), 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([weights_]))
        one = torch.ones(1, dtype=torch.float64)
        target = OutputFormat(one, 0 * one, -(2.0**20) * one, 2.0**20 * one)
        units = IntegerFormat.uniform(len(weights_), 1, limit)
        if low is not None:
            units = IntegerFormat(units.per_one, torch.full_like(units.low, low), units.high)
        samples = torch.ones(1, 1, len(weights_))
        return freeze(nn.Sequential(net), units, samples, target, arithmetic=arithmetic).chain.layers[0]


@pytest.mark.parametrize(
    ("arithmetic", "limit"), [(DOUBLE, 2**36), (SINGLE, 2**7)]
)  # eight times 2^14 times these is the bound
def test_weights_get_coarser_until_sums_stay_below_the_bound(arithmetic: Arithmetic, limit: int) -> None:
    for terms, inputs, low, bits in [
        ([1.0] * 8, limit - 1, None, 14),
        ([1.0] * 8, limit, None, 13),
        ([1.0] * 7 + [-0.5], limit, None, 14),
        ([1.0] * 7 + [-1.0], limit, None, 13),  # whatever the signs of the inputs
        ([1.0] * 7 + [-1.0], limit, 0, 14),  # after ReLU positive and negative weights do not add up
        ([1.0] * 4 + [-1.0] * 8, limit, 0, 13),
    ]:
        assert sum_of(terms, inputs, arithmetic, low).integers()["shift"].item() == bits


@pytest.mark.parametrize("arithmetic", [DOUBLE, SINGLE])
def test_a_network_whose_sums_could_reach_the_bound_with_any_weights_is_not_frozen(arithmetic: Arithmetic) -> None:
    assert sum_of([1.0] * 8, 2 ** (arithmetic.bits - 3) - 1, arithmetic).integers()["shift"].item() == 0
    with pytest.raises(NotExact, match=rf"channel 0: .* below 2\^{arithmetic.bits}"):
        sum_of([1.0] * 8, 2 ** (arithmetic.bits - 3), arithmetic)
    with pytest.raises(NotExact, match=r"channel 0: .* 16 bits"):
        sum_of([2.0**16], 1, arithmetic)
