"""Freezing float networks to integers, with a proof for each output channel that its sums stay exact.

The bound of a sum is the sum of |weight| times the largest input, plus the bias; it must stay below 2^53.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tacit.errors import NotExact
from tacit.exact.arithmetic import EXACT_LIMIT
from tacit.exact.formats import IntegerFormat, OutputFormat
from tacit.exact.layers import FrozenChain, FrozenLayer, LayerSpec

WEIGHT_LIMIT = 2**15 - 1  # weights are int16
ACTIVATION_LIMIT = 2**20  # hidden layers clamp at this
CALIBRATED = 2**15  # what the largest activation of the samples becomes: 32 times below the limit


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
    net: nn.Sequential, inputs: IntegerFormat, samples: Tensor, outputs: OutputFormat | None = None
) -> FrozenNetwork:
    """Freeze a float network to integers. The result is the same every time on one machine.

    Args:
        net: A sequence of Conv2d (1x1, depthwise, dense with stride 1), ConvTranspose2d (stride 2), Linear, ReLU and
            PixelShuffle(2).
        inputs: What the integers that the network will take stand for.
        samples: Float inputs as in use, for the ranges of the activations.
        outputs: What the last layer gives; chosen by the samples if not given.

    Raises:
        NotExact: A layer's sum could reach 2^53, or its kind cannot be frozen.
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
        x = module(x)
        if isinstance(module, nn.PixelShuffle):
            specs.append(LayerSpec("shuffle"))
            known = IntegerFormat(known.per_one[::4], known.limit[::4])
            continue
        relu = position < len(modules) and isinstance(modules[position], nn.ReLU)
        if relu:
            x = modules[position](x)
            position += 1
        spec, weight, bias = _weights_of(module)
        last = position == len(modules)
        goal = outputs if last and outputs is not None else _hidden_format(x, bias.shape[0], relu)
        specs.append(spec)
        layers.append(_quantise_layer(spec, weight, bias, known, goal))
        known = IntegerFormat(goal.per_one, torch.maximum(goal.low.abs(), goal.high.abs()))
    return FrozenNetwork(FrozenChain(specs, layers), known, x)


def _hidden_format(activations: Tensor, channels: int, relu: bool) -> OutputFormat:
    """Choose a format that leaves a margin above the activations of the samples."""
    size = activations.detach().abs().max().double().clamp_min(1e-6)
    high = torch.full((channels,), float(ACTIVATION_LIMIT), dtype=torch.float64)
    per_one = torch.full((channels,), float(CALIBRATED / size), dtype=torch.float64)
    return OutputFormat(per_one, torch.zeros_like(high), torch.zeros_like(high) if relu else -high, high)


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


def _quantise_layer(
    spec: LayerSpec, weight: Tensor, bias: Tensor, inputs: IntegerFormat, goal: OutputFormat
) -> FrozenLayer:
    """Choose each output channel's scale 2^shift as fine as 16-bit weights allow, and prove the bound.

    Raises:
        NotExact: A weight does not fit, or a sum could reach the bound.
    """
    per_input = inputs.per_one[None, None, :] if spec.kind == "depthwise" else inputs.per_one[None, :, None]
    real = weight * goal.per_one / per_input  # output integers per input integer, before the shift
    largest = real.abs().amax(dim=(0, 1)).clamp_min(1e-30)
    shift = (WEIGHT_LIMIT / largest).log2().floor()
    # a channel of small weights must not blow its bias up to the bound
    room = (2.0**46 / ((bias * goal.per_one + goal.offset).abs() + 1)).log2().floor()
    shift = torch.minimum(shift, room).clamp(0, 46)
    scale = torch.exp2(shift)
    integer = (real * scale).round()
    offset = ((bias * goal.per_one + goal.offset) * scale).round()
    if integer.abs().max() > WEIGHT_LIMIT:
        worst = int(integer.abs().amax(dim=(0, 1)).argmax())
        raise NotExact(f"{spec.kind} layer, channel {worst}: the weights do not fit into 16 bits at this scale")
    limit = inputs.limit[None, None, :] if spec.kind == "depthwise" else inputs.limit[None, :, None]
    bound = (integer.abs() * limit).sum(dim=(0, 1)) + offset.abs()
    if not bool((bound < EXACT_LIMIT).all()):
        worst = int(bound.argmax())
        raise NotExact(
            f"{spec.kind} layer, channel {worst}: a sum could reach 2^{math.log2(float(bound[worst])):.1f}, "
            f"and integers are exact only below 2^53"
        )
    stored = integer[:, 0] if spec.kind == "depthwise" else integer[0] if spec.kind == "point" else integer
    return FrozenLayer(spec, stored, offset, shift, goal.low, goal.high)
