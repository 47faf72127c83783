"""Frozen layers and chains of them: the networks of integers that run while coding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.errors import NotExact
from tacit.exact.arithmetic import DOUBLE, Arithmetic

SHIFT_LIMIT = 46  # bits by which a sum is shifted down at most


@dataclass(frozen=True)
class LayerSpec:
    """The shape of one frozen layer."""

    kind: str  # point, depthwise, dense, transposed (stride 2), or shuffle
    kernel: int = 1  # height and width
    padding: int = 0


def largest_sum(kind: str, weight: Tensor, bias: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return what the size of no partial sum of a layer exceeds, in whichever order it is made [O].

    That is what all terms of one sign can add up to, and the bias. Where ReLU bounds the inputs at 0, it is the larger
    of the sums of the positive and of the negative weights, times the limit, plus the bias.

    Args:
        kind: The layer's kind.
        weight: [..., I, O], or depthwise [..., O].
        bias: [O].
        low: The lowest inputs [I], not above 0, as beyond the borders there are zeros.
        high: The highest inputs [I], not below 0.
    """
    rises, falls = weight.clamp_min(0), weight.clamp_max(0).neg()
    if kind == "depthwise":
        rises, falls = rises.sum(dim=0), falls.sum(dim=0)
        most, least = rises * high - falls * low, falls * high - rises * low
    else:
        rises, falls = (w if w.ndim == 2 else w.sum(dim=0) for w in (rises, falls))
        most, least = high @ rises - low @ falls, high @ falls - low @ rises
    return torch.maximum(most, least) + bias.abs()


class FrozenLayer(nn.Module):
    """One layer of integers.

    Weights and biases are kept already scaled by 2^-shift: a power of two moves only the exponent, so the sums are the
    same integers, counted in 2^-shift, and one pass over the data is saved.

    Args:
        spec: The shape.
        weight: Integers: point [I, O]; depthwise [k * k, C]; dense and transposed [k * k, I, O].
        bias: Integers [O].
        shift: By how many bits the sum is shifted down [O].
        low: The lowest output [O].
        high: The highest output [O].
        arithmetic: The numbers that hold them.
    """

    weight: Tensor
    bias: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        spec: LayerSpec,
        weight: Tensor,
        bias: Tensor,
        shift: Tensor,
        low: Tensor,
        high: Tensor,
        arithmetic: Arithmetic = DOUBLE,
    ) -> None:
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
            self.register_buffer(name, value.to(arithmetic.dtype).contiguous())
        # one range for all channels, as hidden layers have it, is quicker as two numbers
        same = bool((low == low[0]).all() and (high == high[0]).all())
        self._range: tuple[float, float] | None = (float(low[0]), float(high[0])) if same else None

    def integers(self) -> dict[str, Tensor]:
        """Return what a weights file stores."""
        scale = torch.exp2(self.shift.double())
        return {
            "weight": (self.weight * scale).to(torch.int16),
            "bias": (self.bias * scale).to(torch.int64),
            "shift": self.shift.to(torch.int8),
            "low": self.low.to(torch.int32),
            "high": self.high.to(torch.int32),
        }

    def largest_sum(self, low: Tensor, high: Tensor) -> Tensor:
        """Return what the size of no partial sum exceeds [O], float64, for inputs of low..high [I]."""
        scaled = largest_sum(self.spec.kind, self.weight.double(), self.bias.double(), low, high)
        return scaled * torch.exp2(self.shift.double())

    def forward(self, x: Tensor, alternate: bool = False) -> Tensor:
        """Compute the layer, in the floating-point type of x.

        Args:
            x: Integers [B, h, w, I], or [B, P, I] for a point layer.
            alternate: As in `FrozenChain`.

        Returns:
            Integers [B, h, w, O] (twice as high and wide for a transposed layer), or [B, P, O].
        """
        kind = self.spec.kind
        # Both are no copies where x has the layer's own type.
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        total: Tensor
        if kind == "point":
            total = torch.addmm(bias, x.reshape(-1, x.shape[-1]), weight).unflatten(0, x.shape[:-1])
        elif kind == "depthwise":
            total = self._depthwise(x, weight, bias, alternate)
        elif kind == "dense":
            total = self._dense(x, weight, bias, alternate)
        else:
            total = self._transposed(x, weight, bias)
        total.round_()
        if self._range is not None:
            return total.clamp_(*self._range)
        return total.clamp_(self.low.to(x.dtype), self.high.to(x.dtype))

    def _taps(self, alternate: bool) -> Iterator[tuple[int, int, int]]:
        """Yield index, row and column of each tap of the kernel.

        alternate: of those at an odd distance from its middle alone.
        """
        k = self.spec.kernel
        for tap in range(k * k):
            row, column = divmod(tap, k)
            if not alternate or (row + column) % 2:
                yield tap, row, column

    def _depthwise(self, x: Tensor, weight: Tensor, bias: Tensor, alternate: bool) -> Tensor:
        height, width = x.shape[1:3]
        p = self.spec.padding
        total = bias.expand_as(x).clone()
        for tap, row, column in self._taps(alternate):
            down, right = row - p, column - p  # from the place of a sum to what this tap adds to it
            if abs(down) < height and abs(right) < width:
                sums = total[:, max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
                seen = x[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
                sums.addcmul_(seen, weight[tap])
        return total

    def _dense(self, x: Tensor, weight: Tensor, bias: Tensor, alternate: bool) -> Tensor:
        batch, height, width, channels = x.shape
        p = self.spec.padding
        padded = F.pad(x, (0, 0, p, p, p, p))
        total = bias.expand(batch * height * width, -1).clone()
        for tap, row, column in self._taps(alternate):
            shifted = padded[:, row : row + height, column : column + width].reshape(-1, channels)
            total.addmm_(shifted, weight[tap])
        return total.unflatten(0, (batch, height, width))  # type: ignore[no-any-return]

    def _transposed(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute stride 2, output padding 1: each input adds its k x k stamp to an output of twice the size."""
        batch, height, width, channels = x.shape
        k, p = self.spec.kernel, self.spec.padding
        rows = x.reshape(-1, channels)
        outputs = weight.shape[-1]
        total = bias.expand(batch, 2 * height + k, 2 * width + k, outputs).clone()
        for tap in range(k * k):
            row, column = divmod(tap, k)
            stamp = (rows @ weight[tap]).unflatten(0, (batch, height, width))
            total[:, row : row + 2 * height : 2, column : column + 2 * width : 2] += stamp
        return total[:, p : p + 2 * height, p : p + 2 * width].contiguous()


def _shuffle(x: Tensor) -> Tensor:
    """Shuffle pixels by 2, in torch's channel order: [B, h, w, 4 C] -> [B, 2 h, 2 w, C]."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height, width, channels // 4, 2, 2)
    return x.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2 * height, 2 * width, channels // 4)


class FrozenChain(nn.Module):
    """A frozen sequence of layers.

    It takes and returns what the float sequence does, planes [B, C, h, w] or rows [B, P, C], but as integers in
    floating-point numbers: of the arithmetic's type, or of one with more bits.

    With `alternate` set, the inputs must be zero where row + column is even, and only the outputs there may be used;
    half of the taps meet nothing but zeros then and are left out (see `may_alternate`). Elsewhere the outputs are then
    not what the network gives.

    Args:
        specs: The shapes of all layers.
        layers: The layers but for shuffles.
        limits: What inputs are clamped to, from -limit to limit [I]; None where they need no clamping.
    """

    limits: Tensor | None

    def __init__(self, specs: Sequence[LayerSpec], layers: Sequence[FrozenLayer], limits: Tensor | None = None) -> None:
        super().__init__()
        self.specs = tuple(specs)
        self.layers = nn.ModuleList(layers)
        self.register_buffer("limits", None if limits is None else limits.to(layers[0].weight.dtype))
        self.alternate = False

    def may_alternate(self) -> bool:
        """Return whether `alternate` may be set.

        It may if one layer sees neighbours, and the layers before it make zeros of zeros.
        """
        around = [i for i, spec in enumerate(self.specs) if spec.kind != "point"]
        if len(around) != 1 or self.specs[around[0]].kind not in ("depthwise", "dense"):
            return False
        before: Any = self.layers[: around[0]]
        return all(not torch.clamp(b.bias.round(), b.low, b.high).any() for b in before)

    def forward(self, x: Tensor) -> Tensor:
        """Compute all layers, on planes or rows."""
        planes = x.ndim == 4
        if planes:
            x = x.permute(0, 2, 3, 1)
        if self.limits is not None:
            limits = self.limits.to(x.dtype)
            x = x.clamp(-limits, limits)
        layers = iter(self.layers)
        for spec in self.specs:
            x = _shuffle(x) if spec.kind == "shuffle" else next(layers)(x, self.alternate)
        return x.permute(0, 3, 1, 2) if planes else x

    def prove(self, low: Tensor, high: Tensor, arithmetic: Arithmetic) -> tuple[Tensor, Tensor]:
        """Prove that every partial sum stays below the arithmetic's bound.

        Args:
            low: The lowest integers that go in, before they are clamped to `limits` [I], float64.
            high: The highest [I], float64.
            arithmetic: The numbers that hold the integers.

        Returns:
            The lowest and the highest integers that come out [O], float64.

        Raises:
            NotExact: A sum could reach the bound.
        """
        if self.limits is not None:
            limits = self.limits.double()
            low, high = torch.maximum(low, -limits), torch.minimum(high, limits)
        layers = iter(self.layers)
        for number, spec in enumerate(self.specs):
            if spec.kind == "shuffle":
                low, high = low.unflatten(0, (-1, 4)).amin(dim=1), high.unflatten(0, (-1, 4)).amax(dim=1)
                continue
            layer: Any = next(layers)
            largest = layer.largest_sum(low.clamp_max(0), high.clamp_min(0))
            if not bool((largest < arithmetic.limit).all()):
                worst = int(largest.argmax())
                raise NotExact(
                    f"{spec.kind} layer {number}, channel {worst}: sums must stay below 2^{arithmetic.bits} to be "
                    f"exact, but one could reach 2^{math.log2(float(largest[worst])):.1f}"
                )
            low, high = layer.low.double(), layer.high.double()
            if float(torch.cat([low, high]).abs().max()) > arithmetic.limit:
                raise NotExact(
                    f"{spec.kind} layer {number}: what comes out must be clamped to 2^{arithmetic.bits} or less"
                )
        return low, high

    def channels(self, inputs: int) -> int:
        """Return the number of channels that come out where `inputs` go in.

        Raises:
            ValueError: The layers do not fit together, or do not take so many inputs.
        """
        if self.limits is not None and self.limits.shape != (inputs,):
            raise ValueError(f"limits must be {inputs}, one for each channel, got {list(self.limits.shape)}")
        layers = iter(self.layers)
        for spec in self.specs:
            if spec.kind == "shuffle":
                taken, outputs = inputs - inputs % 4, inputs // 4
            else:
                weight: Tensor = next(layers).weight  # type: ignore[assignment]
                taken, outputs = weight.shape[-1 if spec.kind == "depthwise" else -2], weight.shape[-1]
            if taken != inputs:
                raise ValueError(f"{spec.kind} layer must get {taken} channels, got {inputs}")
            inputs = outputs
        return inputs

    def describe(self) -> list[dict[str, Any]]:
        """Return the shapes, for the metadata of a weights file."""
        return [asdict(s) for s in self.specs]

    def integers(self) -> dict[str, Tensor]:
        """Return all stored tensors: `limits`, if there are any, and those of the layers, named `index.name`."""
        stored = {f"{i}.{k}": v for i, layer in enumerate(self.layers) for k, v in layer.integers().items()}  # type: ignore[operator]
        if self.limits is not None:
            stored["limits"] = self.limits.to(torch.int32)
        return stored

    @staticmethod
    def restore(specs: Sequence[dict[str, Any]], tensors: dict[str, Tensor], arithmetic: Arithmetic) -> FrozenChain:
        """Return the chain that `describe` and `integers` came from; nothing is frozen again.

        Raises:
            KeyError: A part is missing.
            TypeError: A part is of another kind.
            ValueError: The parts do not belong together.
        """
        parsed = [LayerSpec(**s) for s in specs]
        layers: list[FrozenLayer] = []
        for spec in parsed:
            if spec.kind != "shuffle":
                i = len(layers)
                parts = [tensors[f"{i}.{n}"] for n in ("weight", "bias", "shift", "low", "high")]
                _check_layer(f"{spec.kind} layer {i}", spec, parts)
                weight, bias, shift, low, high = parts
                layers.append(FrozenLayer(spec, weight, bias, shift, low, high, arithmetic))
        limits = tensors.get("limits")
        if limits is not None and (limits.is_floating_point() or limits.ndim != 1 or bool((limits < 0).any())):
            raise ValueError("limits must be integers of 0 or more")
        return FrozenChain(parsed, layers, limits)


def _check_layer(name: str, spec: LayerSpec, parts: Sequence[Tensor]) -> None:
    """Check that stored tensors are a layer of this shape.

    Raises:
        ValueError: They are not.
    """
    weight, *channels = parts
    taps = {"point": [], "depthwise": [spec.kernel**2], "dense": [spec.kernel**2], "transposed": [spec.kernel**2]}
    if spec.kind not in taps or not 1 <= spec.kernel <= 15 or spec.padding != spec.kernel // 2:
        raise ValueError(
            f"{name}: the kernel must be 1 to 15 with half as much padding, got {spec.kernel} with {spec.padding}"
        )
    shape, outputs = list(weight.shape), weight.shape[-1:]
    if (
        len(shape) != (3 if spec.kind in ("dense", "transposed") else 2)
        or shape[: len(taps[spec.kind])] != taps[spec.kind]
    ):
        raise ValueError(f"{name}: weights for kernel {spec.kernel} do not have shape {shape}")
    if not 0 <= int(channels[1].min()) <= int(channels[1].max()) <= SHIFT_LIMIT:
        raise ValueError(f"{name}: shifts must be 0 to {SHIFT_LIMIT}, got {channels[1].min()} to {channels[1].max()}")
    if any(p.is_floating_point() for p in parts) or any(p.shape != outputs for p in channels):
        raise ValueError(f"{name}: shift, bias and range must be integers for each of {shape[-1]} channels")
