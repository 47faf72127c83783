"""Freezing float networks to integers, with a proof for each output channel that its sums stay exact.

No partial sum may reach the bound of the arithmetic, 2^24 or 2^53 (see `tacit.exact.layers.largest_sum`). Each output
channel's weights are as fine as the bound allows, up to 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tacit.errors import NotExact
from tacit.exact.arithmetic import DOUBLE, SINGLE, Arithmetic
from tacit.exact.formats import IntegerFormat, OutputFormat
from tacit.exact.layers import SHIFT_LIMIT, FrozenChain, FrozenLayer, LayerSpec, largest_sum

WEIGHT_LIMIT = 2**15 - 1  # weights are int16


@dataclass(frozen=True)
class HiddenRange:
    """How the activations between layers become integers."""

    limit: int
    """What they are clamped to."""

    margin: float
    """How many times the largest activation of the samples fits below the limit."""

    by_channel: bool
    """Whether each channel has a scale of its own; if not, a layer's channels share one."""


# Where there is room, nothing is clamped; where there is not, what is rare is clamped for the sake of the rest.
HIDDEN_RANGES = {SINGLE: HiddenRange(2**12 - 1, 1.5, True), DOUBLE: HiddenRange(2**20, 32.0, False)}
# What a channel that the samples hardly reach is taken to reach at least: a share of the loudest channel of the layer,
# and a share of what it could reach by its weights, so that these get some bits.
QUIETEST, LEAST_REACHED = 1 / 16, 1 / 512
ROWS = 8192  # of samples, by which weights are rounded
DAMPING = 0.1  # of the samples' covariance: a share of its mean that is added to its diagonal


@dataclass(frozen=True)
class FrozenNetwork:
    """A network that has been frozen, with what freezing the next one needs."""

    chain: FrozenChain
    """The network of integers."""
    format: IntegerFormat
    """What the integers that it gives stand for."""
    samples: Tensor
    """What the float network gave for the samples."""


def freeze(
    net: nn.Sequential,
    inputs: IntegerFormat,
    samples: Tensor,
    outputs: OutputFormat | None = None,
    *,
    arithmetic: Arithmetic = DOUBLE,
    clamped: bool = False,
) -> FrozenNetwork:
    """Freeze a float network to integers. The result is the same every time on one machine.

    Args:
        net: A sequence of Conv2d (1x1, depthwise, dense with stride 1), ConvTranspose2d (stride 2), Linear, ReLU and
            PixelShuffle(2).
        inputs: What the integers that the network will take stand for.
        samples: Float inputs as in use, for the ranges of the activations.
        outputs: What the last layer gives; chosen by the samples if not given.
        arithmetic: The numbers that will hold the integers.
        clamped: Whether the network has to clamp its inputs to the range that `inputs` states, which is symmetric then.

    Raises:
        NotExact: A layer's sum could reach the bound however coarse its weights are, or its kind cannot be frozen.
    """
    modules = list(net)
    specs: list[LayerSpec] = []
    layers: list[FrozenLayer] = []
    known = inputs
    x = samples
    position = 0
    while position < len(modules):
        module = modules[position]
        position += 1
        before, x = x, module(x)
        if isinstance(module, nn.PixelShuffle):
            specs.append(LayerSpec("shuffle"))
            known = known.part(0, len(known.per_one), 4)
            continue
        relu = position < len(modules) and isinstance(modules[position], nn.ReLU)
        if relu:
            x = modules[position](x)
            position += 1
        spec, weight, bias = _weights_of(module)
        last = position == len(modules)
        merged = not last and isinstance(modules[position], nn.PixelShuffle)
        goal = outputs
        if not last or goal is None:
            reach = largest_sum(
                spec.kind, _stored(spec, weight), bias, known.low / known.per_one, known.high / known.per_one
            )
            goal = _hidden_format(x, reach, relu, merged, HIDDEN_RANGES[arithmetic])
        specs.append(spec)
        together = _JointRounding(before, known) if arithmetic is SINGLE and spec.kind == "point" else None
        layers.append(_quantise_layer(spec, weight, bias, known, goal, arithmetic, together))
        known = IntegerFormat(goal.per_one, goal.low, goal.high)
    chain = FrozenChain(specs, layers, inputs.high if clamped else None)
    chain.prove(*inputs.ends, arithmetic)
    return FrozenNetwork(chain, known, x)


def _hidden_format(activations: Tensor, reach: Tensor, relu: bool, merged: bool, hidden: HiddenRange) -> OutputFormat:
    """Choose a format that leaves a margin above the activations of the samples.

    Args:
        activations: Planes [B, C, h, w] or rows [B, P, C].
        reach: What they could reach by the layer's weights [C].
        relu: Whether they are never negative.
        merged: Whether a shuffle comes next, which makes one channel of four neighbours: these share a scale.
        hidden: How they become integers.
    """
    sizes = activations.detach().abs().double()
    sizes = sizes.amax(dim=(0, 2, 3) if sizes.ndim == 4 else (0, 1))
    if hidden.by_channel:
        sizes = torch.maximum(sizes, reach * LEAST_REACHED).clamp_min(float(sizes.max()) * QUIETEST)
        if merged:
            sizes = sizes.unflatten(0, (-1, 4)).amax(dim=1).repeat_interleave(4)
    else:
        sizes = sizes.max().expand_as(sizes)
    sizes = sizes.clamp_min(1e-6)
    high = torch.full_like(sizes, float(hidden.limit))
    return OutputFormat(
        hidden.limit / hidden.margin / sizes, torch.zeros_like(high), torch.zeros_like(high) if relu else -high, high
    )


def _weights_of(module: nn.Module) -> tuple[LayerSpec, Tensor, Tensor]:
    """Return a layer's shape, its weights [taps, I, O] (depthwise: [taps, 1, C]) and its bias [O], in float64.

    Raises:
        NotExact: A layer of this kind cannot be frozen.
    """
    if isinstance(module, nn.Linear):
        weight = module.weight.detach().double().T[None]
        spec = LayerSpec("point")
    elif isinstance(module, nn.ConvTranspose2d):
        if module.stride != (2, 2) or module.output_padding != (1, 1) or module.groups != 1:
            raise NotExact(f"cannot freeze {module}: the stride must be 2 and the output padding 1")
        spec = LayerSpec("transposed", module.kernel_size[0], int(module.padding[0]))
        weight = module.weight.detach().double().permute(2, 3, 0, 1).flatten(0, 1)
    elif isinstance(module, nn.Conv2d):
        if module.stride != (1, 1) or module.padding != tuple(k // 2 for k in module.kernel_size):
            raise NotExact(f"cannot freeze {module}: the stride must be 1 and the size of the input kept")
        weight = module.weight.detach().double().permute(2, 3, 1, 0).flatten(0, 1)
        kernel = module.kernel_size[0]
        if module.groups == module.in_channels == module.out_channels and module.groups > 1:
            spec = LayerSpec("depthwise", kernel, kernel // 2)
        elif module.groups == 1:
            spec = LayerSpec("point") if kernel == 1 else LayerSpec("dense", kernel, kernel // 2)
        else:
            raise NotExact(f"cannot freeze {module}: groups must be 1 or one for each channel")
    else:
        raise NotExact(f"cannot freeze a {type(module).__name__}")
    bias = module.bias.detach().double() if module.bias is not None else weight.new_zeros(module.weight.shape[0])
    return spec, weight, bias


def _stored(spec: LayerSpec, weight: Tensor) -> Tensor:
    """Return weights [taps, I, O] (depthwise: [taps, 1, C]) in the shape in which a layer has them."""
    return weight[:, 0] if spec.kind == "depthwise" else weight[0] if spec.kind == "point" else weight


class _JointRounding:
    """Rounding of a point layer's weights such that its sums change little for inputs like the samples.

    Inputs that go together can make up for each other: what rounding one weight adds to the sums is taken back by the
    weights that are not yet rounded, as far as the samples' covariance tells, and the rest of the mean by the bias.
    Source: GPTQ, ICLR 2023 (2210.17323).

    Args:
        samples: Float inputs of the layer, planes [B, I, h, w] or rows [B, P, I].
        inputs: What the integers of the inputs stand for.
    """

    def __init__(self, samples: Tensor, inputs: IntegerFormat) -> None:
        rows = (samples.movedim(1, -1) if samples.ndim == 4 else samples).detach().flatten(0, -2)
        rows = rows[:: -(-len(rows) // ROWS)].double() * inputs.per_one
        rows = torch.minimum(torch.maximum(rows.round(), inputs.low), inputs.high)
        self._means = rows.mean(dim=0)
        rows = rows - self._means
        covariance = rows.T @ rows / len(rows)
        covariance.diagonal().add_(DAMPING * float(covariance.diagonal().mean()) + 1e-9)
        self._order = covariance.diagonal().argsort(descending=True, stable=True)  # what varies most is rounded first
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance[self._order][:, self._order]))
        self._factor = torch.linalg.cholesky(inverse, upper=True)

    def __call__(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return rounded weights, and what the rounding adds to the mean of each sum [O], for weights [I, O]."""
        left = weight[self._order]
        rounded = torch.empty_like(left)
        for i, row in enumerate(self._factor):
            rounded[i] = left[i].round()
            left[i + 1 :].addr_(row[i + 1 :], (left[i] - rounded[i]) / row[i], alpha=-1)
        result = torch.empty_like(rounded)
        result[self._order] = rounded
        return result, self._means @ (result - weight)


def _quantise_layer(
    spec: LayerSpec,
    weight: Tensor,
    bias: Tensor,
    inputs: IntegerFormat,
    goal: OutputFormat,
    arithmetic: Arithmetic,
    together: _JointRounding | None = None,
) -> FrozenLayer:
    """Choose each output channel's scale 2^shift, the largest with which its weights fit and its sums stay exact.

    Raises:
        NotExact: There is none.
    """
    per_input = inputs.per_one[None, None, :] if spec.kind == "depthwise" else inputs.per_one[None, :, None]
    real = weight * goal.per_one / per_input  # output integers per input integer, before the shift
    start = bias * goal.per_one + goal.offset
    # Where a channel's weights are small, its bias alone must not come near the bound.
    room = 2.0 ** (arithmetic.bits - 1 if arithmetic is SINGLE else SHIFT_LIMIT)
    largest = torch.maximum(real.abs().amax(dim=(0, 1)).clamp_min(1e-30) / WEIGHT_LIMIT, (start.abs() + 1) / room)
    shift = (1 / largest).log2().floor().clamp(0, SHIFT_LIMIT)
    stored = _stored(spec, real).clone()
    offset = torch.zeros_like(start)
    low, high = inputs.low.clamp_max(0), inputs.high.clamp_min(0)
    changed = torch.ones_like(shift, dtype=torch.bool)
    while bool(changed.any()):  # of the channels whose scale has changed
        scale = torch.exp2(shift[changed])
        scaled, added = _stored(spec, real)[..., changed] * scale, torch.zeros_like(scale)
        if together is None:
            stored[..., changed] = scaled.round()
        else:
            stored[..., changed], added = together(scaled)
        offset[changed] = (start[changed] * scale - added).round()
        over = largest_sum(spec.kind, stored, offset, low, high) >= arithmetic.limit
        over |= stored.abs().flatten(0, -2).amax(dim=0) > WEIGHT_LIMIT
        if bool((over & (shift == 0)).any()):
            worst = int((over & (shift == 0)).int().argmax())
            raise NotExact(
                f"{spec.kind} layer, channel {worst}: with no scale do its weights fit into 16 bits and its sums stay "
                f"below 2^{arithmetic.bits}"
            )
        shift, changed = shift - over.double(), over
    return FrozenLayer(spec, stored, offset, shift, goal.low, goal.high, arithmetic)
