"""What the entropy coder's state depends on is equal everywhere, to the last bit.

Checked against integers: a second implementation in `reference_decoder`, and conformance vectors in `data/golden`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import reference_decoder as reference
import tacit.exact.freezing
import tacit.models.freezing
from support.paths import VECTORS
from support.pictures import samples, synthetic
from support.tiny_models import TINY, tiny_model, tiny_taco, write_weights
from tacit import container, weights
from tacit.codec import Codec
from tacit.errors import CorruptFile, NotExact
from tacit.exact import arithmetic
from tacit.exact.arithmetic import EXACT_LIMIT
from tacit.exact.formats import IntegerFormat, OutputFormat
from tacit.exact.freezing import FrozenNetwork, freeze
from tacit.exact.layers import FrozenChain, FrozenLayer, LayerSpec
from tacit.models.freezing import freeze_entropy
from tacit.models.frozen import FrozenEntropy
from tacit.text.tokens import TextTokens

GOLDEN = VECTORS / "golden"  # of each shipped model a folder
EXPECTED: dict[str, Any] = {p.parent.name: json.loads(p.read_text()) for p in sorted(GOLDEN.glob("*/golden.json"))}


def sha256(latents: Tensor) -> str:
    return hashlib.sha256(latents.cpu().numpy().astype("<i2").tobytes()).hexdigest()


# -- one layer, one chain ---------------------------------------------------------------------------------------------

KINDS = [
    LayerSpec("point"),
    LayerSpec("depthwise", 3, 1),
    LayerSpec("dense", 3, 1),
    LayerSpec("dense", 5, 2),
    LayerSpec("transposed", 3, 1),
    LayerSpec("transposed", 5, 2),
]


def random_layer(spec: LayerSpec, inputs: int, outputs: int, rng: np.random.Generator) -> FrozenLayer:
    """Integers of every size that a weights file can hold, so that sums come close to 2^53 with small shifts."""
    taps = spec.kernel**2
    shape = {"point": (inputs, outputs), "depthwise": (taps, inputs)}.get(spec.kind, (taps, inputs, outputs))
    outputs = shape[-1]
    weight = rng.integers(-(2**15) + 1, 2**15, shape)
    bias = rng.integers(-(2**46), 2**46, outputs)
    shift = rng.integers(0, 47, outputs)
    weights_, biases, shifts = (torch.from_numpy(a) for a in (weight, bias, shift))
    limit = torch.full((outputs,), 2**31 - 1)
    return FrozenLayer(spec, weights_, biases, shifts, -limit, limit)


def run_reference(specs: Any, integers: dict[str, Tensor], x: Tensor) -> Tensor:
    """x [B, C, h, w] -> the same, each image for itself."""
    tensors = {k: v.numpy() for k, v in integers.items()}
    out = [reference.chain(specs, tensors, image.long().permute(1, 2, 0).numpy()) for image in x]
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_each_layer_is_integer_arithmetic(
    spec: LayerSpec, inputs: int, outputs: int, height: int, width: int, batch: int, last: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    layer = random_layer(spec, inputs, outputs, rng)
    chain = FrozenChain([spec], [layer])
    x = torch.from_numpy(rng.integers(-(2**20), 2**20 + 1, (batch, inputs, height, width))).double()
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
    st.integers(0, 2**32 - 1),
)
def test_taps_that_meet_the_boards_zeros_are_left_out(
    spec: LayerSpec, channels: int, height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    mix = random_layer(LayerSpec("point"), channels, channels, rng)
    mix.bias.zero_()
    chain = FrozenChain(
        [LayerSpec("point"), spec],
        [mix, random_layer(spec, channels, channels, rng)],
    )
    x = torch.from_numpy(rng.integers(-(2**20), 2**20 + 1, (2, channels, height, width))).double()
    even = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0
    x[:, :, even] = 0
    expected = chain(x)[:, :, even]
    assert chain.may_alternate()
    chain.alternate = True
    assert torch.equal(chain(x)[:, :, even], expected)


def test_a_network_that_makes_something_of_zeros_takes_every_tap() -> None:
    rng = np.random.default_rng(0)
    around = random_layer(LayerSpec("depthwise", 3, 1), 2, 2, rng)
    mix = random_layer(LayerSpec("point"), 2, 2, rng)
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


# -- the bound --------------------------------------------------------------------------------------------------------


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


def test_one_network_that_breaks_the_bound_stops_the_freezing_of_a_model() -> None:
    model = tiny_model()
    with torch.no_grad():
        # a unit so small that the proof must take latents of 2^15 steps' sixteenths for a number of 2^45
        context: Any = model.entropy.local_context
        context[1][0].weight.mul_(1e12)
        model.context_scale[8:].fill_(1e12)
        x = samples(64, 1)
        y = model.analysis(x, TextTokens.empty(1, TINY.text_width)).float()
        with pytest.raises(NotExact):
            freeze_entropy(model, y, model.hyper_latents(y), torch.tensor([50.0]))


@pytest.mark.parametrize("spec", KINDS, ids=lambda s: f"{s.kind}{s.kernel}")
def test_just_inside_the_bound_the_worst_inputs_are_exact(spec: LayerSpec) -> None:
    """Odd weights and odd limits with the weights' signs: every partial sum is as large as it can be, and the whole
    needs all 53 bits, as no shift hides the lowest."""
    rng = np.random.default_rng(6)
    inputs = 1 if spec.kind == "depthwise" else 5
    taps = spec.kernel**2
    weight = rng.integers(2**13, 2**14, (taps, inputs)) * 2 + 1
    weight *= rng.choice([-1, 1], weight.shape)
    limit = (EXACT_LIMIT // int(np.abs(weight).sum()) - 1) | 1
    bound = int(np.abs(weight).sum()) * limit
    assert EXACT_LIMIT * 0.99 < bound < EXACT_LIMIT
    stored = weight if spec.kind == "depthwise" else weight.T if spec.kind == "point" else weight[:, :, None]
    one = torch.ones(1)
    layer = FrozenLayer(spec, torch.from_numpy(stored), 0 * one, 0 * one, -(2.0**53) * one, 2.0**53 * one)
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
    found = layer(torch.from_numpy(x).double()[None])[0]
    tensors = {"weight": stored, "bias": np.zeros(1), "shift": np.zeros(1, np.int64)}
    exact = reference.layer(
        {"kind": spec.kind, "kernel": k, "padding": p},
        {**tensors, "low": np.array([-(2**53)]), "high": np.array([2**53])},
        x,
    )
    assert np.array_equal(found.numpy().astype(np.int64), exact)
    if spec.kind != "transposed":
        assert np.abs(exact).max() == bound
    assert (exact % 2 == 1).any()
    rounded = layer.float()(torch.from_numpy(x).float()[None])[0]
    assert not np.array_equal(rounded.numpy().astype(np.int64), exact)  # float32 would not do


def test_every_order_of_the_worst_sum_is_exact() -> None:
    """512 terms in many orders, halves and blocks."""
    rng = np.random.default_rng(9)
    weight = rng.integers(2**13, 2**14, 511) * 2 + 1
    limit = (EXACT_LIMIT // int(weight.sum()) - 1) | 1
    expected = int(weight.sum()) * limit
    one = torch.ones(1)
    for _ in range(10):
        order = rng.permutation(511)
        w = torch.from_numpy(weight[order])[:, None]
        layer = FrozenLayer(LayerSpec("point"), w, 0 * one, 0 * one, -(2.0**53) * one, 2.0**53 * one)
        for rows in (1, 2, 37):
            x = torch.full((1, rows, 511), float(limit), dtype=torch.float64)
            assert (layer(x).long() == expected).all()
            assert (layer(-x).long() == -expected).all()


def test_probe_refuses_a_device_whose_products_are_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = torch.addmm

    def emulated(*arguments: Tensor, **options: Any) -> Tensor:
        return genuine(*(a.float() for a in arguments), **options).double()

    monkeypatch.setattr(arithmetic, "_probed", set())
    monkeypatch.setattr(torch, "addmm", emulated)
    with pytest.raises(NotExact, match="not exact"):
        arithmetic.probe(torch.device("cpu"))
    with pytest.raises(NotExact), arithmetic.exact_arithmetic(torch.device("cpu")):
        pass
    monkeypatch.setattr(torch, "addmm", genuine)
    arithmetic.probe(torch.device("cpu"))
    assert arithmetic._probed == {"cpu"}


# -- freezing and loading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [tiny_model, tiny_taco])
def test_freezing_is_deterministic(build: Any, tmp_path: Path, tiny_weights: Path, tiny_taco_weights: Path) -> None:
    first = tiny_weights if build is tiny_model else tiny_taco_weights
    again = write_weights(tmp_path / first.name, build())
    assert again.read_bytes() == first.read_bytes()
    assert weights.describe(again).decode_hash == weights.describe(first).decode_hash


def test_loading_never_freezes(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, codec: Codec) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("freezes")

    for module, name in (
        (tacit.exact.freezing, "freeze"),
        (tacit.exact.freezing, "_quantise_layer"),
        (tacit.models.freezing, "freeze"),
        (tacit.models.freezing, "gaussian_tables"),
        (tacit.models.freezing, "prior_tables"),
        (tacit.models.freezing, "freeze_entropy"),
    ):
        monkeypatch.setattr(module, name, refuse)
    loaded = weights.load(tiny_weights).entropy
    before, after = codec._model(tiny_weights).entropy.parts(), loaded.parts()
    assert before.shapes == after.shapes
    assert before.tensors.keys() == after.tensors.keys()
    for name, tensor in before.tensors.items():
        assert torch.equal(tensor, after.tensors[name]), name


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


def test_the_hash_covers_what_decoding_needs_and_nothing_else(tmp_path: Path) -> None:
    def change(part: str) -> bytes:
        model = tiny_model()
        # frozen before the change, as a later training of the encoder's side would leave the frozen part alone
        path = write_weights(tmp_path / "before.safetensors", model)
        frozen = weights.load(path).entropy
        if part:
            with torch.no_grad():
                next(p for n, p in model.named_parameters() if n.startswith(part)).add_(0.25)
        weights.save(path, model, frozen, {"changed": part})
        return weights.describe(path).decode_hash

    unchanged = change("")
    assert [change(p) == unchanged for p in ("analysis.", "hyper_analysis.", "gain.")] == [True] * 3
    assert [change(p) == unchanged for p in ("synthesis.", "inverse_gain.")] == [False] * 2


@pytest.mark.parametrize("name", ["tiny", "taco", "shipped"])
def test_the_hash_is_made_as_the_format_page_says(
    name: str, codec: Codec, taco_codec: Codec, shipped_codec: Codec
) -> None:
    path = {"tiny": codec, "taco": taco_codec, "shipped": shipped_codec}[name].path
    stored = reference.Weights(path)
    named = {"<i1": "int8", "<i2": "int16", "<i4": "int32", "<i8": "int64", "<f2": "float16", "<f4": "float32"}
    parts = {k: stored.about[k] for k in ("architecture", "config", "entropy")}
    fields = {
        "tacit-s": ("latent", "synthesis16", "synthesis8", "knots"),
        "taco": ("width", "latent", "knots", "published"),
    }[parts["architecture"]]
    parts["config"] = {k: parts["config"][k] for k in fields}
    data = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    for entry in sorted(stored.tensors, key=str.encode):
        if entry.startswith(("entropy.", "synthesis.", "inverse_gain.")):
            values = stored.tensors[entry]
            kind = named[values.dtype.str.replace("|", "<")]
            data += f"\n{entry} torch.{kind} {list(values.shape)}\n".encode() + values.tobytes()
    assert hashlib.sha256(data).digest()[:8] == weights.describe(path).decode_hash


# -- the same file, the same latents ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A file, the weights that it needs, and its latents' hash: the second decoder's, or a conformance vector's."""

    path: Path
    data: bytes
    latents: str

    def codec(self, **options: Any) -> Codec:
        return Codec(self.path, **{"precision": "fp32", **options})


@pytest.fixture(scope="module")
def cases(uneven_codec: Codec, taco_codec: Codec, taco_fixed_codec: Codec, shipped_codec: Codec) -> dict[str, Case]:
    made = {}
    for name, one in {"tiny": uneven_codec, "taco": taco_codec, "taco-fixed": taco_fixed_codec}.items():
        quality = None if name == "taco-fixed" else 62.5
        data = one.encode(Image.fromarray(synthetic(150, 100)), "a boat", quality)
        stream = container.read(data).regions[0]
        assert stream
        size = one._model(one.path).latent_size
        exact = reference.latents(reference.Weights(one.path), stream, size(100), size(150), 6250 if quality else 0)
        assert np.abs(exact).max() > 32  # else there would be little to miss
        made[name] = Case(one.path, data, hashlib.sha256(exact.astype("<i2").tobytes()).hexdigest())
    for name in ("caption", "noise"):
        data = (GOLDEN / weights.DEFAULT / f"{name}.tacit").read_bytes()
        made[name] = Case(shipped_codec.path, data, EXPECTED[weights.DEFAULT][name]["latents"])
    return made


NAMES = ["tiny", "taco", "taco-fixed", "caption", "noise"]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def fast_products() -> Iterator[None]:
    """What callers set who want speed; all of it concerns float32."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = before[1]
        torch.set_float32_matmul_precision(before[0])


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


STATES: dict[str, Callable[[], Any]] = {
    "autocast-bf16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast-fp16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "fast-products": fast_products,
    "default-bf16": lambda: default_dtype(torch.bfloat16),
    "default-fp64": lambda: default_dtype(torch.float64),
    "deterministic": deterministic,
    "inference": torch.inference_mode,
    "gradients": torch.enable_grad,
}
# A default device that holds no values shows what is made without saying where; text encoders may use the default.
DECODING_STATES: dict[str, Callable[[], Any]] = {**STATES, "default-device": lambda: torch.device("meta")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", DECODING_STATES)
def test_latents_under_the_callers_settings(cases: dict[str, Case], name: str, state: str) -> None:
    case = cases[name]
    with DECODING_STATES[state]():
        assert sha256(case.codec().latents(case.data)) == case.latents


@pytest.mark.parametrize("state", STATES)
def test_what_is_encoded_under_the_callers_settings_decodes(
    cases: dict[str, Case], state: str, codec: Codec, taco_codec: Codec
) -> None:
    for one in (codec, taco_codec):
        image = Image.fromarray(synthetic(90, 70, seed=5))
        with STATES[state]():
            data = one.encode(image, "a red boat", 40)
            seen = one.latents(data)
        assert torch.equal(seen, one.latents(data))
        # other transforms would show: a wrong gain, or half precision
        plain = one.latents(one.encode(image, "a red boat", 40)).float()
        assert (seen.float() - plain).abs().mean() < 2


@pytest.mark.parametrize("state", DECODING_STATES)
def test_pixels_under_the_callers_settings(cases: dict[str, Case], state: str) -> None:
    """The settings reach no transform by accident: pixels within a level in fp32."""
    for name in ("tiny", "taco", "caption"):
        case = cases[name]
        plain = np.asarray(case.codec().decode(case.data)).astype(int)
        with DECODING_STATES[state]():
            found = np.asarray(case.codec().decode(case.data)).astype(int)
        assert np.abs(found - plain).max() <= (1 if state != "fast-products" else 8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 2}, {"precision": "bf16"}, {"precision": "auto"}])
def test_latents_with_any_threads_and_precision(cases: dict[str, Case], name: str, options: dict[str, Any]) -> None:
    case = cases[name]
    assert sha256(case.codec(**options).latents(case.data)) == case.latents


@pytest.mark.parametrize("name", ["tiny", "taco", "shipped"])
def test_encoder_and_decoder_agree_alone_and_in_batches(
    name: str, codec: Codec, taco_codec: Codec, shipped_codec: Codec
) -> None:
    """The decoder's integers are those that the encoder saw, whatever the batch was on either side."""
    one = {"tiny": codec, "taco": taco_codec, "shipped": shipped_codec}[name]
    model = one._model(one.path)
    x = samples(80, 5)
    y = model.analyse(model.pad(x), TextTokens.empty(5, model.config.text_width))
    streams, seen = model.compress(y, 55.0)
    height, width = y.shape[2:]
    assert len(set(streams)) == 5
    for batch in ([0, 1, 2, 3, 4], [3, 0], [2, 2, 2]):
        found = model.decompress([streams[i] for i in batch], height, width, 55.0)
        assert torch.equal(found, seen[batch])
    for i in range(5):
        alone, single = model.compress(y[i : i + 1], 55.0)
        assert torch.equal(model.decompress([streams[i]], height, width, 55.0)[0], seen[i])
        assert torch.equal(model.decompress(alone, height, width, 55.0), single)


def test_files_decode_alike_alone_and_together(codec: Codec) -> None:
    files = [codec.encode(Image.fromarray(synthetic(70, 50, seed)), quality=60) for seed in range(5)]
    files.append(codec.encode(Image.fromarray(synthetic(50, 70)), quality=60))
    for found, data in zip(codec.decode_batch(files), files, strict=True):
        difference = np.asarray(found).astype(int) - np.asarray(codec.decode(data))
        assert np.abs(difference).max() <= 1


def layouts(x: Tensor) -> list[Tensor]:
    """The same values in other layouts: channels last, and as every second column of something larger."""
    wide = x.new_full((*x.shape[:3], 2 * x.shape[3]), 12345)
    wide[..., ::2] = x
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    return [x.contiguous(), x.contiguous(memory_format=torch.channels_last), wide[..., ::2], turned]


@pytest.mark.parametrize("name", ["tiny", "taco", "shipped"])
def test_memory_layouts(name: str, codec: Codec, taco_codec: Codec, shipped_codec: Codec) -> None:
    one = {"tiny": codec, "taco": taco_codec, "shipped": shipped_codec}[name]
    entropy: FrozenEntropy = one._model(one.path).entropy
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
    entropy: FrozenEntropy = shipped_codec._model(shipped_codec.path).entropy
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


PROCESS = """
import hashlib, json, sys, torch
from tacit.codec import Codec
for line in sys.argv[1].split(";"):
    exec(line)
out = {"capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}
for name, path, file in json.loads(sys.argv[2]):
    latents = Codec(path, precision="fp32").latents(file)
    out[name] = hashlib.sha256(latents.numpy().astype("<i2").tobytes()).hexdigest()
print(json.dumps(out))
"""

# torch's newer switches cannot be put back to what they were, so they are tried in a process of their own
SWITCHES = ";".join(
    f"torch.backends.{name}.fp32_precision = {value!r}"
    for name, value in {"mkldnn": "bf16", "mkldnn.matmul": "bf16", "mkldnn.conv": "bf16", "cudnn": "tf32"}.items()
)
PROCESSES: dict[str, tuple[dict[str, str], str]] = {
    "avx2": (
        {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        "torch.set_num_threads(2)",
    ),
    "plain": (
        {
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "OMP_NUM_THREADS": "1",
        },
        "pass",
    ),
    "fast": ({"ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "MKL_CBWR": "AUTO"}, SWITCHES),
}


@pytest.mark.parametrize("kind", PROCESSES)
def test_latents_in_a_fresh_process(cases: dict[str, Case], tmp_path: Path, kind: str) -> None:
    environment, statements = PROCESSES[kind]
    arguments = []
    for name, case in cases.items():
        (tmp_path / f"{name}.tacit").write_bytes(case.data)
        arguments.append([name, str(case.path), str(tmp_path / f"{name}.tacit")])
    found = subprocess.run(
        [sys.executable, "-c", PROCESS, statements, json.dumps(arguments)],
        # threads that wait without spinning, for machines that do other work beside the tests
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers = json.loads(found.stdout)
    assert {n: answers[n] for n in cases} == {n: c.latents for n, c in cases.items()}
    if kind != "fast":
        wanted = environment["ATEN_CPU_CAPABILITY"]
        assert answers["capability"].lower() in ("no avx", "default", wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_latents_on_a_gpu(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    with fast_products(), torch.autocast("cuda", dtype=torch.bfloat16):
        assert sha256(case.codec(device="cuda").latents(case.data)) == case.latents


# -- conformance vectors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, found in EXPECTED.items() for name in found])
def test_conformance(shipped_codec: Codec, model: str, name: str) -> None:
    data = (GOLDEN / model / f"{name}.tacit").read_bytes()
    expected = EXPECTED[model][name]
    stale = f"the weights are others than those of {GOLDEN}/{model}: run `python scripts/golden.py {model}`"
    assert container.read(data).header.weights_hash == weights.describe(weights.locate(model)).decode_hash, stale
    assert len(data) == expected["bytes"]
    latents = shipped_codec.latents(data)  # whichever weights a file names
    assert list(latents.shape) == expected["shape"]
    assert sha256(latents) == expected["latents"]


@pytest.mark.parametrize("model", EXPECTED)
@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1), ("bf16", 3)])
def test_conforming_pixels(precision: str, levels: int, model: str) -> None:
    codec = Codec(precision=precision)
    for name, expected in EXPECTED[model].items():
        image = codec.decode(GOLDEN / model / f"{name}.tacit")
        assert image.mode == expected["mode"]
        pixels = np.asarray(image).reshape(image.height, image.width, -1)
        rows = np.linspace(0, image.height - 1, 8).astype(int)
        columns = np.linspace(0, image.width - 1, 8).astype(int)
        found = pixels[rows[:, None], columns].reshape(64, -1).astype(int)
        assert np.abs(found - np.array(expected["samples"])).max() <= levels, name
        # a picture's mean is nearer than its pixels
        near = 0.2 * levels if pixels.size > 1000 else levels
        assert np.abs(pixels.mean(axis=(0, 1)) - expected["means"]).max() <= near, name


@pytest.mark.parametrize("model", EXPECTED)
def test_the_second_decoder_reads_the_vectors(model: str) -> None:
    """All that decoding depends on, from the format page alone: coder, tables, networks, schedule."""
    stored = reference.Weights(weights.locate(model))
    for name in ("pixel", "small", "grey", "alpha", "noise"):
        file = container.read((GOLDEN / model / f"{name}.tacit").read_bytes())
        _, height, width = EXPECTED[model][name]["shape"]
        assert file.regions[0]
        assert file.header.quality is not None
        found = reference.latents(stored, file.regions[0], height, width, round(100 * file.header.quality))
        assert hashlib.sha256(found.astype("<i2").tobytes()).hexdigest() == EXPECTED[model][name]["latents"]


def test_the_second_decoder_sees_the_same_pixels(
    cases: dict[str, Case], codec: Codec, taco_codec: Codec, taco_fixed_codec: Codec, shipped_codec: Codec
) -> None:
    """All that the format page says of the synthesis, on latents of whole pictures."""
    mine = GOLDEN / weights.DEFAULT
    for one, data in (
        (shipped_codec, (mine / "lowest.tacit").read_bytes()),
        (shipped_codec, (mine / "grey.tacit").read_bytes()),
        (shipped_codec, (mine / "noise.tacit").read_bytes()),
        (codec, codec.encode(Image.fromarray(synthetic(50, 70)), quality=33.33)),
        (taco_codec, cases["taco"].data),
        (taco_fixed_codec, cases["taco-fixed"].data),
    ):
        header = container.read(data).header
        synthesis = reference.Synthesis(reference.Weights(one.path))
        latents = one.latents(data).numpy()
        found = synthesis.pixels(latents, header.quality, header.width, header.height, header.color)
        expected = np.asarray(one.decode(data)).reshape(found.shape).astype(int)
        assert np.abs(found - expected).max() <= 1
        assert (found != expected).mean() < 0.01
        assert expected.std() > 5


@pytest.mark.parametrize("model", weights.SHIPPED)
def test_vectors_are_small_and_whole(model: str) -> None:
    folder = GOLDEN / model
    assert sorted(p.stem for p in folder.glob("*.tacit")) == sorted(EXPECTED[model])
    assert sum(p.stat().st_size for p in folder.iterdir()) < 200_000
    assert container.read((folder / "caption.tacit").read_bytes()).metadata.caption
    assert len(container.read((folder / "regions.tacit").read_bytes()).regions) == 2


# -- streams that no encoder wrote ------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=300).map(lambda b: b[: len(b) // 4 * 4]), st.integers(1, 5), st.integers(1, 5))
def test_any_stream_is_an_error_or_latents(codec: Codec, data: bytes, height: int, width: int) -> None:
    model = codec._model(codec.path)
    try:
        found = model.decompress([data], height, width, 50.0)
    except CorruptFile:
        return
    assert found.shape == (1, TINY.latent, height, width)
