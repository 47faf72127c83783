"""The frozen entropy model: it follows the float one, quantises as it says, and codes what the tables cost."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from support.pictures import samples
from support.tiny_models import TINY, tiny_model, tiny_taco
from support.walks import coding_of, entropy_of, record
from tacit import weights
from tacit.codec import Codec
from tacit.entropy.pool import CoderPool
from tacit.entropy.streams import Stream
from tacit.entropy.tables import PRECISION, SYMBOL_LIMIT
from tacit.entropy.units import Y_UNIT
from tacit.errors import CorruptFile
from tacit.exact.arithmetic import exact_arithmetic
from tacit.models.attention import to_rows
from tacit.models.coding_order import Step, walk
from tacit.models.freezing import freeze_entropy
from tacit.models.frozen import FrozenEntropy
from tacit.text.tokens import TextTokens


@pytest.mark.parametrize("name", ["tiny", "taco"])
def test_the_frozen_walk_follows_the_float_one(name: str, codec: Codec, taco_codec: Codec) -> None:
    """Scales and means at every step, frozen and float, from the same decoded values."""
    one, model = {"tiny": (codec, tiny_model()), "taco": (taco_codec, tiny_taco())}[name]
    frozen = coding_of(one)
    entropy = frozen.entropy
    x = samples(96, 2)
    y, z = frozen.scaled(frozen.analyse(x, TextTokens.empty(2, 256)), 50.0)
    symbols = entropy.quantise_hyper(z)
    decoded = entropy.quantise(y, symbols, 5000, None)
    rows = to_rows(decoded).double()
    units = model.latent_units()

    with exact_arithmetic(torch.device("cpu"), entropy.arithmetic) as dtype:
        exact_hyper = entropy.hyper_features(symbols.to(dtype), 5000, 6, 6)
    steps, exact = record(entropy, exact_hyper, lambda n, s, p: rows[:, s.positions, s.start : s.stop])
    float_hyper = model.hyper_features((symbols + entropy.medians[:, None, None] / 256).float(), torch.full((2,), 50.0))
    floats: list[Tensor] = []

    def visit(step: Step, parameters: Tensor) -> Tensor:
        floats.append(parameters)
        chosen = slice(step.start, step.stop)
        return (rows[:, step.positions, chosen] / units[chosen]).float()

    with torch.no_grad():
        walk(model.entropy, float_hyper[:, :, :6, :6], visit)  # type: ignore[arg-type]
    for step, found, expected in zip(steps, exact, floats, strict=True):
        raw, means = expected.double().chunk(2, dim=-1)
        target = model.parameter_format(step.start, step.stop)
        count = step.stop - step.start
        wanted = torch.cat([raw, means], dim=-1) * target.per_one + target.offset
        wanted = torch.minimum(torch.maximum(wanted, target.low), target.high)
        # rounding to whole indices and sixteenths is all that shows
        assert (found - wanted)[..., :count].abs().max() <= (0.55 if name == "tiny" else 0.02 * wanted.abs().max())
        assert (found - wanted)[..., count:].abs().max() <= 0.55
        assert found[..., count:].abs().max() > 2


@pytest.mark.parametrize("name", ["uneven", "taco", "shipped"])
def test_the_stream_costs_what_the_tables_say(
    name: str, uneven_codec: Codec, taco_codec: Codec, shipped_codec: Codec
) -> None:
    """Every symbol, with the table that was chosen for it, and what it says: nothing is coded twice or left out."""
    one = {"uneven": uneven_codec, "taco": taco_codec, "shipped": shipped_codec}[name]
    model = coding_of(one)
    entropy = model.entropy
    x = samples(128, 1)
    y, z = model.scaled(model.analyse(x, TextTokens.empty(1, 256)), 70.0)
    (stream,), seen = entropy.compress(y, z, 7000)
    bits = 0.0
    coded = 0

    def cost(tables: Any, indices: np.ndarray, symbols: np.ndarray) -> float:
        codes = symbols - tables.lows[indices]
        last = tables.sizes[indices] - 1
        escaped = (codes < 0) | (codes >= last)
        chances = tables.frequencies[tables.starts[indices] + np.where(escaped, last, codes)] / 2**PRECISION
        return float(-np.log2(chances).sum() + 11 * escaped.sum())

    def put(_: int, __: Step, ___: np.ndarray, indices: np.ndarray, symbols: np.ndarray) -> None:
        nonlocal bits, coded
        bits += cost(entropy.y_models.tables, indices, symbols)
        coded += len(symbols)

    hyper = entropy.quantise_hyper(z)
    again = entropy.quantise(y, hyper, 7000, put)
    assert torch.equal(again, seen)
    count = hyper[0, 0].numel()
    bits += cost(entropy.z_models.tables, np.repeat(np.arange(hyper.shape[1]), count), hyper.flatten().int().numpy())
    assert bits <= 8 * len(stream.data) <= bits + 64 + bits * 1e-4
    # what is predicted with near certainty is not coded, where the model has such scales
    assert (coded == seen.numel()) if entropy.skip == 0 else (0 < coded < seen.numel())


def test_quantising_is_to_the_nearest_step_from_the_mean(uneven_codec: Codec) -> None:
    """Or to the mean itself, where the scale is so narrow that nothing is coded."""
    model = coding_of(uneven_codec)
    entropy = model.entropy
    y, z = model.scaled(model.analyse(samples(64, 1), TextTokens.empty(1, 256)), 80.0)
    _, seen = entropy.compress(y, z, 8000)
    assert seen.dtype == torch.int16
    rows, wanted = to_rows(seen).double(), to_rows(y).double()
    with exact_arithmetic(y.device, entropy.arithmetic):
        hyper = entropy.hyper_features(entropy.quantise_hyper(z), 8000, 4, 4)
    kinds = {True: 0, False: 0}

    def check(n: int, step: Step, parameters: Tensor) -> Tensor:
        indices, means = entropy._tables_and_means(parameters)
        found = rows[:, step.positions, step.start : step.stop]
        coded = indices >= entropy.skip
        assert ((found - means) % Y_UNIT == 0).all()
        assert torch.equal(found[~coded], means[~coded])
        error = found / Y_UNIT - wanted[:, step.positions, step.start : step.stop]
        assert (error.abs() <= 0.5)[coded].all()
        for kind in kinds:
            kinds[kind] += int((coded == kind).sum())
        return found

    record(entropy, hyper, check)
    assert all(kinds.values())


def test_values_beyond_every_limit_are_clamped_and_come_back(codec: Codec, taco_codec: Codec) -> None:
    for one in (codec, taco_codec):
        entropy = entropy_of(one)
        count, hyper = sum(entropy.groups), entropy.medians.numel()
        generator = torch.Generator().manual_seed(3)
        y = torch.randn(1, count, 5, 7, generator=generator) * 1e6
        z = torch.randn(1, hyper, 2, 2, generator=generator) * 1e6
        (stream,), seen = entropy.compress(y, z, 0)
        assert torch.equal(entropy.decompress([stream], 5, 7, 0), seen)
        assert int(seen.abs().max()) <= SYMBOL_LIMIT * Y_UNIT + 2**14
        assert int(seen.abs().max()) > 1000 * Y_UNIT


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (4, 4), (5, 9)])
def test_sizes_that_are_no_multiples(height: int, width: int, codec: Codec) -> None:
    entropy = entropy_of(codec)
    generator = torch.Generator().manual_seed(4)
    y = torch.randn(2, TINY.latent, height, width, generator=generator) * 3
    z = torch.randn(2, TINY.hyper, math.ceil(height / 4), math.ceil(width / 4), generator=generator) * 2
    streams, seen = entropy.compress(y, z, 5000)
    assert seen.shape == (2, TINY.latent, height, width)
    assert torch.equal(entropy.decompress(streams, height, width, 5000), seen)


def test_the_quality_reaches_the_parameters(codec: Codec) -> None:
    entropy = entropy_of(codec)
    z = torch.ones(1, TINY.hyper, 1, 1)
    with exact_arithmetic(torch.device("cpu"), entropy.arithmetic):
        low, high = (entropy.hyper_features(z, quality, 4, 4) for quality in (0, 10000))
    assert not torch.equal(low, high)


def test_what_was_frozen_and_what_was_stored_are_the_same(tmp_path: Path) -> None:
    model = tiny_model(uneven=True)
    x, quality = samples(64, 2), torch.tensor([20.0, 80.0])
    with torch.no_grad():
        y = model.analysis(x, TextTokens.empty(2, TINY.text_width)) * model.gain(quality)
        z = model.hyper_latents(y)
        frozen = freeze_entropy(model, y, z, quality)
    weights.save(tmp_path / "w.safetensors", model, frozen, {})
    stored = weights.load(tmp_path / "w.safetensors").entropy
    streams, seen = frozen.compress(y, z, 2000)
    assert stored.compress(y, z, 2000)[0] == streams
    assert torch.equal(stored.decompress(streams, 4, 4, 2000), seen)


def layouts(x: Tensor) -> list[Tensor]:
    """The same values in other layouts: channels last, and as every second column of something larger."""
    wide = x.new_full((*x.shape[:3], 2 * x.shape[3]), 12345)
    wide[..., ::2] = x
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    return [x.contiguous(), x.contiguous(memory_format=torch.channels_last), wide[..., ::2], turned]


@pytest.mark.parametrize("name", ["tiny", "taco", "shipped"])
def test_memory_layouts(name: str, codec: Codec, taco_codec: Codec, shipped_codec: Codec) -> None:
    one = {"tiny": codec, "taco": taco_codec, "shipped": shipped_codec}[name]
    entropy: FrozenEntropy = coding_of(one).entropy
    generator = torch.Generator().manual_seed(1)
    for chain_name, chain in entropy.chains.items():
        chain_layers: Any = chain.layers
        first = chain_layers[0].weight
        inputs = first.shape[-1] if chain.specs[0].kind == "depthwise" else first.shape[-2]
        size = int(chain_layers[-1].high.abs().max().clamp(max=2**15))
        shape = (3, inputs, 4, 6)
        x = torch.randint(-size, size + 1, shape, generator=generator).double()
        found = [chain(v) for v in layouts(x)]
        found += [torch.cat([chain(v[None]) for v in x])]
        assert all(torch.equal(found[0], f) for f in found[1:]), chain_name


def test_threads_that_share_a_product(shipped_codec: Codec) -> None:
    """Large enough that the work is divided."""
    entropy: FrozenEntropy = coding_of(shipped_codec).entropy
    generator = torch.Generator().manual_seed(1)
    before = torch.get_num_threads()
    for name in ("local_context.4", "parameters_other.0"):
        chain = entropy.chains[name]
        first: Any = chain.layers[0]
        inputs = first.weight.shape[-2]
        x = torch.randint(-(2**15), 2**15, (1, inputs, 32, 32), generator=generator).double()
        found = []
        try:
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                found.append(chain(x))
        finally:
            torch.set_num_threads(before)
        assert torch.equal(found[0], found[1]), name
        assert torch.equal(found[0], found[2]), name


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=300).map(lambda b: b[: len(b) // 4 * 4]), st.integers(1, 5), st.integers(1, 5))
def test_any_stream_is_an_error_or_latents(codec: Codec, data: bytes, height: int, width: int) -> None:
    model = coding_of(codec)
    try:
        found = model.decompress([Stream(data)], height, width, 50.0)
    except CorruptFile:
        return
    assert found.shape == (1, TINY.latent, height, width)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has the processes")
@pytest.mark.parametrize("name", ["uneven", "taco"])
def test_range_coding_in_processes_changes_nothing(
    name: str, uneven_codec: Codec, taco_codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"uneven": uneven_codec, "taco": taco_codec}[name]
    model = coding_of(one)
    y, z = model.scaled(model.analyse(samples(80, 3), TextTokens.empty(3, 256)), 60.0)
    streams, seen = model.entropy.compress(y, z, 6000)
    with contextlib.closing(CoderPool(2)) as pool:
        monkeypatch.setattr(FrozenEntropy, "coders", lambda self, images: pool)
        assert model.entropy.compress(y, z, 6000)[0] == streams
        assert torch.equal(model.entropy.decompress(streams, 5, 5, 6000), seen)
        with pytest.raises(CorruptFile):
            model.entropy.decompress([streams[0], Stream(streams[1].data + bytes(8)), streams[2]], 5, 5, 6000)
        assert torch.equal(model.entropy.decompress(streams[1:], 5, 5, 6000), seen[1:])
