"""Integer-exact evaluation of a network: the same integers on every machine.

A learned codec breaks when encoder and decoder disagree in the last bit of a probability. Here everything that the
entropy coder's state depends on is integer arithmetic, on integers *held in float64*. As long as no partial sum can
reach 2^53, every order of summation gives the same result, whatever the thread count, batch size, memory layout, BLAS
or device, with the ordinary fast kernels. The bound is proven for each output channel when a network is frozen.

Why float64, not float32 (2^24): a product of float64 matrices costs twice as much, but leaves room for 16-bit weights
and 21-bit activations, so that freezing loses nothing that can be measured in bytes; and the traps of float32 (TF32,
autocast, reduced-precision matrix products, oneDNN's fast-math mode, Winograd) do not exist there. What is left is
excluded by construction: only matrix products, shifted multiply-adds and element-wise operations are used.

Arithmetic of one layer: out = clamp(round_half_even(sum(weight * in) + bias) * 2^-shift), low, high), where weights are
int16, biases integers, and shift is per output channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.errors import NotExact

EXACT_LIMIT = 2**53
WEIGHT_LIMIT = 2**15 - 1
ACTIVATION_LIMIT = 2**20
CALIBRATED = 2**15  # the largest activation seen at calibration becomes this: 32 times below the limit


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """No autograd and no autocast: the only global states that could reach a float64 product."""
    probe(device)
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield


_probed: set[str] = set()


def probe(device: torch.device) -> None:
    """Check once per device that float64 products are exact, as emulated ones need not be.

    Raises:
        NotExact: a product of integers below the bound came out wrong.
    """
    if str(device) in _probed:
        return
    generator = torch.Generator("cpu").manual_seed(0)
    a = torch.randint(-(2**20), 2**20, (64, 512), generator=generator, device="cpu")
    b = torch.randint(-(2**15), 2**15, (512, 64), generator=generator, device="cpu")
    expected = a @ b
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        found = torch.addmm(
            torch.zeros(64, dtype=torch.float64, device=device), a.double().to(device), b.double().to(device)
        )
    if not torch.equal(found.cpu().long(), expected):
        raise NotExact(f"device {device}: float64 matrix products are not exact for integers below 2^53")
    _probed.add(str(device))


@dataclass(frozen=True)
class Units:
    """What integers stand for: integer = value * `per_one`, per channel [C] float64; `limit` [C]: the largest size."""

    per_one: Tensor
    limit: Tensor

    @staticmethod
    def uniform(channels: int, per_one: float, limit: int) -> Units:
        """The same for every channel."""
        return Units(
            torch.full((channels,), per_one, dtype=torch.float64), torch.full((channels,), limit, dtype=torch.float64)
        )

    @staticmethod
    def cat(parts: Sequence[Units]) -> Units:
        """Of concatenated channels."""
        return Units(torch.cat([p.per_one for p in parts]), torch.cat([p.limit for p in parts]))


@dataclass(frozen=True)
class Target:
    """What the last layer's integers shall be: value * per_one + offset, clamped to low..high; each [C]."""

    per_one: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class LayerSpec:
    """Shape of one frozen layer. kind: point, depthwise, dense, transposed (stride 2), or shuffle."""

    kind: str
    kernel: int = 1
    padding: int = 0


class FrozenLayer(nn.Module):
    """One layer. weight: point [I, O]; depthwise [k * k, C]; dense and transposed [k * k, I, O].

    Weights and biases are kept already scaled by 2^-shift: a power of two moves only the exponent, so the sums are the
    same integers, counted in 2^-shift, and one pass over the data is saved.
    """

    weight: Tensor
    bias: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, spec: LayerSpec, weight: Tensor, bias: Tensor, shift: Tensor, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.spec = spec
        scale = torch.exp2(-shift.double())
        scaled = {
            "weight": weight.double() * scale,
            "bias": bias.double() * scale,
            "shift": shift,
            "low": low,
            "high": high,
        }
        for name, value in scaled.items():
            self.register_buffer(name, value.double().contiguous())
        # one range for all channels, as hidden layers have it, is quicker as two numbers
        same = bool((low == low[0]).all() and (high == high[0]).all())
        self._range: tuple[float, float] | None = (float(low[0]), float(high[0])) if same else None

    def integers(self) -> dict[str, Tensor]:
        """What a weights file stores."""
        scale = torch.exp2(self.shift)
        return {
            "weight": (self.weight * scale).to(torch.int16),
            "bias": (self.bias * scale).to(torch.int64),
            "shift": self.shift.to(torch.int8),
            "low": self.low.to(torch.int32),
            "high": self.high.to(torch.int32),
        }

    def forward(self, x: Tensor, alternate: bool = False) -> Tensor:
        """x: [B, h, w, I] (or [B, P, I] for a point layer), integers in float64. alternate: as in `FrozenChain`."""
        kind = self.spec.kind
        total: Tensor
        if kind == "point":
            total = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight).unflatten(0, x.shape[:-1])
        elif kind == "depthwise":
            total = self._depthwise(x, alternate)
        elif kind == "dense":
            total = self._dense(x, alternate)
        else:
            total = self._transposed(x)
        total.round_()
        return total.clamp_(*self._range) if self._range is not None else total.clamp_(self.low, self.high)

    def _taps(self, alternate: bool) -> Iterator[tuple[int, int, int]]:
        """Index, row and column of each tap in the kernel; alternate: of those at an odd distance from its middle."""
        k = self.spec.kernel
        for tap in range(k * k):
            row, column = divmod(tap, k)
            if not alternate or (row + column) % 2:
                yield tap, row, column

    def _depthwise(self, x: Tensor, alternate: bool) -> Tensor:
        height, width = x.shape[1:3]
        p = self.spec.padding
        total = self.bias.expand_as(x).clone()
        for tap, row, column in self._taps(alternate):
            down, right = row - p, column - p  # from where a sum is to what this tap adds to it
            if abs(down) < height and abs(right) < width:
                sums = total[:, max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
                seen = x[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
                sums.addcmul_(seen, self.weight[tap])
        return total

    def _dense(self, x: Tensor, alternate: bool) -> Tensor:
        batch, height, width, channels = x.shape
        p = self.spec.padding
        padded = F.pad(x, (0, 0, p, p, p, p))
        total = self.bias.expand(batch * height * width, -1).clone()
        for tap, row, column in self._taps(alternate):
            shifted = padded[:, row : row + height, column : column + width].reshape(-1, channels)
            total.addmm_(shifted, self.weight[tap])
        return total.unflatten(0, (batch, height, width))  # type: ignore[no-any-return]

    def _transposed(self, x: Tensor) -> Tensor:
        """Stride 2, output padding 1: each input pixel adds its k x k stamp to an output of twice the size."""
        batch, height, width, channels = x.shape
        k, p = self.spec.kernel, self.spec.padding
        rows = x.reshape(-1, channels)
        outputs = self.weight.shape[-1]
        total = self.bias.expand(batch, 2 * height + k, 2 * width + k, outputs).clone()
        for tap in range(k * k):
            row, column = divmod(tap, k)
            stamp = (rows @ self.weight[tap]).unflatten(0, (batch, height, width))
            total[:, row : row + 2 * height : 2, column : column + 2 * width : 2] += stamp
        return total[:, p : p + 2 * height, p : p + 2 * width].contiguous()


def _shuffle(x: Tensor) -> Tensor:
    """Pixel shuffle by 2: [B, h, w, 4 C] -> [B, 2 h, 2 w, C], in torch's channel order."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height, width, channels // 4, 2, 2)
    return x.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2 * height, 2 * width, channels // 4)


class FrozenChain(nn.Module):
    """A frozen sequence of layers. Takes and returns what the float sequence does: planes [B, C, h, w] or rows
    [B, P, C], but integers in float64. `units` says what the outputs stand for.

    alternate: what is given is zero where row + column is even, and what comes out is used there alone; see
    `may_alternate`. Elsewhere it is then not what the network gives.
    """

    def __init__(self, specs: Sequence[LayerSpec], layers: Sequence[FrozenLayer], units: Units) -> None:
        super().__init__()
        self.specs = tuple(specs)
        self.layers = nn.ModuleList(layers)
        self.units = units
        self.alternate = False

    def may_alternate(self) -> bool:
        """Whether half of the taps would meet nothing but zeros: one layer sees neighbours, and those before it make
        zeros of zeros."""
        around = [i for i, spec in enumerate(self.specs) if spec.kind != "point"]
        if len(around) != 1 or self.specs[around[0]].kind not in ("depthwise", "dense"):
            return False
        before: Any = self.layers[: around[0]]
        return all(not torch.clamp(b.bias.round(), b.low, b.high).any() for b in before)

    def forward(self, x: Tensor) -> Tensor:
        planes = x.ndim == 4
        if planes:
            x = x.permute(0, 2, 3, 1)
        layers = iter(self.layers)
        for spec in self.specs:
            x = _shuffle(x) if spec.kind == "shuffle" else next(layers)(x, self.alternate)
        return x.permute(0, 3, 1, 2) if planes else x

    def channels(self, inputs: int) -> int:
        """Channels that come out where `inputs` go in.

        Raises:
            ValueError: the layers do not fit together, or not so many inputs.
        """
        layers = iter(self.layers)
        for spec in self.specs:
            if spec.kind == "shuffle":
                taken, given = inputs - inputs % 4, inputs // 4
            else:
                weight: Tensor = next(layers).weight  # type: ignore[assignment]
                taken, given = weight.shape[-1 if spec.kind == "depthwise" else -2], weight.shape[-1]
            if taken != inputs:
                raise ValueError(f"{spec.kind} layer takes {taken} channels, {inputs} are given")
            inputs = given
        return inputs

    def describe(self) -> list[dict[str, Any]]:
        """The shapes, for the weights file's metadata."""
        return [asdict(s) for s in self.specs]

    def integers(self) -> dict[str, Tensor]:
        """All stored tensors, by `index.name`."""
        return {f"{i}.{k}": v for i, layer in enumerate(self.layers) for k, v in layer.integers().items()}  # type: ignore[operator]

    @staticmethod
    def restore(specs: Sequence[dict[str, Any]], tensors: dict[str, Tensor]) -> FrozenChain:
        """From what `describe` and `integers` gave. Loading never freezes again; `units` are not needed then.

        Raises:
            KeyError, TypeError, ValueError: parts that do not belong together.
        """
        parsed = [LayerSpec(**s) for s in specs]
        layers: list[FrozenLayer] = []
        for spec in parsed:
            if spec.kind != "shuffle":
                i = len(layers)
                parts = [tensors[f"{i}.{n}"] for n in ("weight", "bias", "shift", "low", "high")]
                _check_layer(f"{spec.kind} layer {i}", spec, parts)
                layers.append(FrozenLayer(spec, *parts))
        nothing = torch.zeros(0, dtype=torch.float64)
        return FrozenChain(parsed, layers, Units(nothing, nothing))


def _check_layer(name: str, spec: LayerSpec, parts: Sequence[Tensor]) -> None:
    """Raises ValueError for stored tensors that are no layer of this shape."""
    weight, *channels = parts
    taps = {"point": [], "depthwise": [spec.kernel**2], "dense": [spec.kernel**2], "transposed": [spec.kernel**2]}
    if spec.kind not in taps or not 1 <= spec.kernel <= 15 or spec.padding != spec.kernel // 2:
        raise ValueError(f"{name}: kernel {spec.kernel} with padding {spec.padding} is not known")
    shape, outputs = list(weight.shape), weight.shape[-1:]
    if (
        len(shape) != (3 if spec.kind in ("dense", "transposed") else 2)
        or shape[: len(taps[spec.kind])] != taps[spec.kind]
    ):
        raise ValueError(f"{name}: weights are {shape} for kernel {spec.kernel}")
    if any(p.is_floating_point() for p in parts) or any(p.shape != outputs for p in channels):
        raise ValueError(f"{name}: integers for each of {shape[-1]} channels are needed")


def freeze(
    net: nn.Sequential, inputs: Units, samples: Tensor, target: Target | None = None
) -> tuple[FrozenChain, Tensor]:
    """Freeze a float sequence of Conv2d (1x1, depthwise, dense stride 1), ConvTranspose2d (stride 2), Linear, ReLU and
    PixelShuffle(2).

    inputs: what the integers that it will be given stand for; samples: float inputs as in use, for the activations'
    ranges; target: what the last layer shall give (else units are chosen). Returns the chain and the float outputs for
    `samples`. Deterministic.

    Raises:
        NotExact: a layer's sum could reach 2^53, or its kind cannot be frozen.
    """
    modules = list(net)
    specs: list[LayerSpec] = []
    layers: list[FrozenLayer] = []
    units = inputs
    x = samples
    position = 0
    while position < len(modules):
        module = modules[position]
        position += 1
        x = module(x)
        if isinstance(module, nn.PixelShuffle):
            specs.append(LayerSpec("shuffle"))
            units = Units(units.per_one[::4], units.limit[::4])
            continue
        relu = position < len(modules) and isinstance(modules[position], nn.ReLU)
        if relu:
            x = modules[position](x)
            position += 1
        last = position == len(modules)
        spec, weight, bias = _taps(module)
        outputs = bias.shape[0]
        if last and target is not None:
            goal = target
        else:
            size = x.detach().abs().max().double().clamp_min(1e-6)
            high = torch.full((outputs,), float(ACTIVATION_LIMIT), dtype=torch.float64)
            per_one = torch.full((outputs,), float(CALIBRATED / size), dtype=torch.float64)
            goal = Target(per_one, torch.zeros_like(high), torch.zeros_like(high) if relu else -high, high)
        layer = _quantise(spec, weight, bias, units, goal)
        specs.append(spec)
        layers.append(layer)
        units = Units(goal.per_one, torch.maximum(goal.low.abs(), goal.high.abs()))
    return FrozenChain(specs, layers, units), x


def _taps(module: nn.Module) -> tuple[LayerSpec, Tensor, Tensor]:
    """A layer's weights as [taps, I, O] (depthwise: [taps, 1, C]) and its bias [O], in float64."""
    if isinstance(module, nn.Linear):
        weight = module.weight.detach().double().T[None]
        spec = LayerSpec("point")
    elif isinstance(module, nn.ConvTranspose2d):
        if module.stride != (2, 2) or module.output_padding != (1, 1) or module.groups != 1:
            raise NotExact(f"cannot freeze {module}: only stride 2 with output padding 1")
        spec = LayerSpec("transposed", module.kernel_size[0], int(module.padding[0]))
        weight = module.weight.detach().double().permute(2, 3, 0, 1).flatten(0, 1)
    elif isinstance(module, nn.Conv2d):
        if module.stride != (1, 1) or module.padding != tuple(k // 2 for k in module.kernel_size):
            raise NotExact(f"cannot freeze {module}: only stride 1 with the input's size kept")
        weight = module.weight.detach().double().permute(2, 3, 1, 0).flatten(0, 1)
        kernel = module.kernel_size[0]
        if module.groups == module.in_channels == module.out_channels and module.groups > 1:
            spec = LayerSpec("depthwise", kernel, kernel // 2)
        elif module.groups == 1:
            spec = LayerSpec("point") if kernel == 1 else LayerSpec("dense", kernel, kernel // 2)
        else:
            raise NotExact(f"cannot freeze {module}: {module.groups} groups")
    else:
        raise NotExact(f"cannot freeze a {type(module).__name__}")
    bias = module.bias.detach().double() if module.bias is not None else weight.new_zeros(module.weight.shape[0])
    return spec, weight, bias


def _quantise(spec: LayerSpec, weight: Tensor, bias: Tensor, inputs: Units, goal: Target) -> FrozenLayer:
    """Choose each output channel's scale 2^shift as fine as 16-bit weights allow, and prove the bound."""
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
        raise NotExact(f"{spec.kind} layer, channel {worst}: weights do not fit 16 bits at this scale")
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
