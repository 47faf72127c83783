"""Frozen layers are integer arithmetic, up to the bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import reference_decoder as reference
from support.exactness import run_reference
from tacit.exact.arithmetic import DOUBLE, SINGLE, Arithmetic
from tacit.exact.layers import FrozenChain, FrozenLayer, LayerSpec

KINDS = [
    LayerSpec("point"),
    LayerSpec("depthwise", 3, 1),
    LayerSpec("dense", 3, 1),
    LayerSpec("dense", 5, 2),
    LayerSpec("transposed", 3, 1),
    LayerSpec("transposed", 5, 2),
]


# The largest sizes of weights, inputs and biases, by which no sum of 25 x 9 terms reaches the bound.
SIZES = {DOUBLE: (2**15 - 1, 2**20, 2**46), SINGLE: (2**5, 2**10, 2**22)}


def random_layer(
    spec: LayerSpec, inputs: int, outputs: int, rng: np.random.Generator, arithmetic: Arithmetic
) -> FrozenLayer:
    """Integers of every size that keeps the bound, so that sums come close to it with small shifts."""
    taps = spec.kernel**2
    shape = {"point": (inputs, outputs), "depthwise": (taps, inputs)}.get(spec.kind, (taps, inputs, outputs))
    outputs = shape[-1]
    size, _, start = SIZES[arithmetic]
    weight = rng.integers(-size, size + 1, shape)
    bias = rng.integers(-start, start, outputs)
    shift = rng.integers(0, start.bit_length(), outputs)
    weights_, biases, shifts = (torch.from_numpy(a) for a in (weight, bias, shift))
    limit = torch.full((outputs,), min(2**31 - 1, arithmetic.limit - 1))
    return FrozenLayer(spec, weights_, biases, shifts, -limit, limit, arithmetic)


def random_inputs(rng: np.random.Generator, shape: tuple[int, ...], arithmetic: Arithmetic) -> Tensor:
    size = SIZES[arithmetic][1]
    return torch.from_numpy(rng.integers(-size, size + 1, shape)).to(arithmetic.dtype)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([SINGLE, DOUBLE]),
    st.integers(0, 2**32 - 1),
)
def test_each_layer_is_integer_arithmetic(
    spec: LayerSpec,
    inputs: int,
    outputs: int,
    height: int,
    width: int,
    batch: int,
    last: bool,
    arithmetic: Arithmetic,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    layer = random_layer(spec, inputs, outputs, rng, arithmetic)
    chain = FrozenChain([spec], [layer])
    x = random_inputs(rng, (batch, inputs, height, width), arithmetic)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    expected = run_reference(chain.describe(), chain.integers(), x)
    assert torch.equal(chain(x).long(), expected)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([spec for spec in KINDS if spec.kind in ("depthwise", "dense")]),
    st.integers(1, 6),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([SINGLE, DOUBLE]),
    st.integers(0, 2**32 - 1),
)
def test_taps_that_meet_the_boards_zeros_are_left_out(
    spec: LayerSpec, channels: int, height: int, width: int, arithmetic: Arithmetic, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    mix = random_layer(LayerSpec("point"), channels, channels, rng, arithmetic)
    mix.bias.zero_()
    limit = SIZES[arithmetic][1]
    mix._range = -float(limit), float(limit)
    chain = FrozenChain(
        [LayerSpec("point"), spec],
        [mix, random_layer(spec, channels, channels, rng, arithmetic)],
    )
    x = random_inputs(rng, (2, channels, height, width), arithmetic)
    even = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0
    x[:, :, even] = 0
    expected = chain(x)[:, :, even]
    assert chain.may_alternate()
    chain.alternate = True
    assert torch.equal(chain(x)[:, :, even], expected)


def test_a_network_that_makes_something_of_zeros_takes_every_tap() -> None:
    rng = np.random.default_rng(0)
    around = random_layer(LayerSpec("depthwise", 3, 1), 2, 2, rng, DOUBLE)
    mix = random_layer(LayerSpec("point"), 2, 2, rng, DOUBLE)
    for specs, layers in [
        ([LayerSpec("point"), around.spec], [mix, around]),  # a bias
        ([around.spec, around.spec], [around, around]),  # neighbours' neighbours are on the same colour
        ([LayerSpec("point")], [mix]),
    ]:
        assert not FrozenChain(specs, layers).may_alternate()


def test_halves_round_to_even() -> None:
    shift = torch.tensor([1, 1, 1, 2, 2, 0])
    layer = FrozenLayer(
        LayerSpec("point"), torch.zeros(1, 6), torch.tensor([1, 3, -1, 6, -6, 7]), shift, -shift - 99, shift + 99
    )
    assert layer(torch.zeros(1, 1, 1, 1, dtype=torch.float64)).flatten().tolist() == [0, 2, 0, 2, -2, 7]


def test_limits_clamp() -> None:
    low, high = torch.tensor([-3, 0]), torch.tensor([5, 7])
    layer = FrozenLayer(LayerSpec("point"), torch.ones(1, 2), torch.zeros(2), torch.zeros(2), low, high)
    values = torch.tensor([[[[-9.0], [-2.0], [6.0], [99.0]]]], dtype=torch.float64)
    assert layer(values).flatten(0, 2).tolist() == [[-3, 0], [-2, 0], [5, 6], [5, 7]]


def test_shifts_survive_storage() -> None:
    shifts = torch.arange(47)
    layer = FrozenLayer(LayerSpec("point"), torch.zeros(1, 47), shifts, shifts, -shifts, shifts)
    assert torch.equal(layer.integers()["shift"].long(), shifts)


@pytest.mark.parametrize("arithmetic", [SINGLE, DOUBLE])
@pytest.mark.parametrize("spec", KINDS, ids=lambda s: f"{s.kind}{s.kernel}")
def test_just_inside_the_bound_the_worst_inputs_are_exact(spec: LayerSpec, arithmetic: Arithmetic) -> None:
    """Odd weights and odd limits with the weights' signs: every partial sum is as large as it can be, and the whole
    needs all bits, as no shift hides the lowest."""
    rng = np.random.default_rng(6)
    inputs = 1 if spec.kind == "depthwise" else 5
    taps = spec.kernel**2
    size = 2**13 if arithmetic is DOUBLE else 2**3
    weight = rng.integers(size, 2 * size, (taps, inputs)) * 2 + 1
    weight *= rng.choice([-1, 1], weight.shape)
    limit = (arithmetic.limit // int(np.abs(weight).sum()) - 1) | 1
    bound = int(np.abs(weight).sum()) * limit
    assert arithmetic.limit * 0.99 < bound < arithmetic.limit
    stored = weight if spec.kind == "depthwise" else weight.T if spec.kind == "point" else weight[:, :, None]
    one = torch.ones(1)
    most = float(arithmetic.limit) * one
    layer = FrozenLayer(spec, torch.from_numpy(stored), 0 * one, 0 * one, -most, most, arithmetic)
    k, p = spec.kernel, spec.padding
    # the input whose taps meet their weights' signs at the middle output
    size = k if spec.kind != "transposed" else k + 2
    x = np.zeros((size, size, inputs), dtype=np.int64)
    for tap in range(taps):
        row, column = divmod(tap, k)
        if spec.kind != "transposed":
            x[row, column] = np.sign(weight[tap]) * limit
    if spec.kind == "transposed":
        x[:] = rng.choice([-1, 1], x.shape) * limit
    ends = torch.full((inputs,), float(limit), dtype=torch.float64)
    assert layer.largest_sum(-ends, ends).item() == bound
    found = layer(torch.from_numpy(x).to(arithmetic.dtype)[None])[0]
    tensors = {"weight": stored, "bias": np.zeros(1), "shift": np.zeros(1, np.int64)}
    exact = reference.layer(
        {"kind": spec.kind, "kernel": k, "padding": p},
        {**tensors, "low": np.array([-arithmetic.limit]), "high": np.array([arithmetic.limit])},
        x,
    )
    assert np.array_equal(found.numpy().astype(np.int64), exact)
    if spec.kind != "transposed":
        assert np.abs(exact).max() == bound
    assert (exact % 2 == 1).any()
    if arithmetic is DOUBLE:
        rounded = layer.float()(torch.from_numpy(x).float()[None])[0]
        assert not np.array_equal(rounded.numpy().astype(np.int64), exact)  # float32 would not do


@pytest.mark.parametrize("arithmetic", [SINGLE, DOUBLE])
def test_every_order_of_the_worst_sum_is_exact(arithmetic: Arithmetic) -> None:
    """512 terms in many orders, halves and blocks."""
    rng = np.random.default_rng(9)
    size = 2**13 if arithmetic is DOUBLE else 2**3
    weight = rng.integers(size, 2 * size, 511) * 2 + 1
    limit = (arithmetic.limit // int(weight.sum()) - 1) | 1
    expected = int(weight.sum()) * limit
    one = torch.ones(1)
    for _ in range(10):
        order = rng.permutation(511)
        w = torch.from_numpy(weight[order])[:, None]
        most = float(arithmetic.limit) * one
        layer = FrozenLayer(LayerSpec("point"), w, 0 * one, 0 * one, -most, most, arithmetic)
        for rows in (1, 2, 37):
            x = torch.full((1, rows, 511), float(limit), dtype=arithmetic.dtype)
            assert (layer(x).long() == expected).all()
            assert (layer(-x).long() == -expected).all()
