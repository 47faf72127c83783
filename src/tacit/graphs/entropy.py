"""Graphs of the exact entropy networks: hyper-synthesis, and two steps for each group of the coding order.

All the decoder's arithmetic is in them. Values are integers in floating-point numbers (`tacit.exact`), of the type that
the weights were frozen for. Between layers they are rows [positions, channels], so that a point layer is one Gemm.

    hyper            symbols of z, quality ─► features of the anchors, features of the others
    anchor.G         y of earlier groups, features ─► tables, means of the anchors; context of the others
    other.G          y of the group's anchors, context, features ─► tables, means of the others
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.entropy.units import QUALITY_REACH, Z_UNIT
from tacit.graphs.builder import DOUBLE, FLOAT, INT16, INT32, INT64, UINT8, GraphBuilder

SHIFTS = 64  # powers of two that a layer may scale by


class EntropyGraphs:
    """Builds the graphs of an entropy model.

    Args:
        shapes: What the weights file's metadata say of it.
        tensors: The tensors of the weights file.
    """

    def __init__(self, shapes: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
        self.shapes, self.tensors = shapes, tensors
        self.single = shapes.get("bits") == 24
        self.kind = FLOAT if self.single else DOUBLE

    @property
    def groups(self) -> list[int]:
        """Channels of y in each group of the coding order."""
        return list(self.shapes["groups"])

    def build_hyper(self, b: GraphBuilder) -> None:
        """Build the hyper-synthesis."""
        count = self.tensors["entropy.medians"].shape[0]
        symbols = b.input("symbols", INT32, ["batch", count, "hyper_rows", "hyper_columns"])
        size = b.input("size", INT64, [2])
        anchors, others = (b.input(name, INT64, [name]) for name in ("anchors", "others"))
        z = b.op("Transpose", b.cast(symbols, self.kind), perm=[0, 2, 3, 1])
        if not self.single:
            z = b.op("Mul", z, self._constant(b, Z_UNIT))
            z = b.op("Add", z, b.weight("entropy.medians", self.kind))
        if self.shapes["plane"]:
            quality = b.input("quality", INT32, ["batch", "hyper_rows", "hyper_columns"])
            plane = b.op("Sub", b.cast(quality, self.kind), self._constant(b, QUALITY_REACH))
            z = b.op("Concat", z, b.op("Unsqueeze", plane, b.sizes(3)), axis=3)
        features = self._chain(b, "hyper_synthesis", z)
        features = b.op("Slice", features, b.sizes(0, 0), size, b.sizes(1, 2))
        width = self._outputs("hyper_synthesis")
        for name, positions in (("anchors", anchors), ("others", others)):
            rows = self._rows_at(b, features, positions, width)
            b.output(f"{name}_features", rows, self.kind, ["batch", name, width])

    def build_anchor(self, b: GraphBuilder, group: int) -> None:
        """Build the step of a group's anchors."""
        earlier = sum(self.groups[:group])
        width = self._outputs("hyper_synthesis")
        known = [b.input("features", self.kind, ["batch", "anchors", width])]
        if group:
            y = b.input("earlier", INT16, ["batch", "rows", "columns", earlier])
            anchors, others = (b.input(name, INT64, [name]) for name in ("anchors", "others"))
            name = f"channel_context.{group - 1}"
            context = self._chain(b, name, b.cast(y, self.kind))
            seen = self._outputs(name)
            known.insert(0, self._rows_at(b, context, anchors, seen))
            b.output("context", self._rows_at(b, context, others, seen), self.kind, ["batch", "others", seen])
        self._parameters(b, f"parameters_anchor.{group}", known, group, "anchors")

    def build_other(self, b: GraphBuilder, group: int) -> None:
        """Build the step of a group's other positions."""
        width = self._outputs("hyper_synthesis")
        known = [b.input("features", self.kind, ["batch", "others", width])]
        if group:
            seen = self._outputs(f"channel_context.{group - 1}")
            known.insert(0, b.input("context", self.kind, ["batch", "others", seen]))
        y = b.input("decoded", INT16, ["batch", "rows", "columns", self.groups[group]])
        others = b.input("others", INT64, ["others"])
        name = f"local_context.{group}"
        local = self._chain(b, name, b.cast(y, self.kind))
        known.insert(0, self._rows_at(b, local, others, self._outputs(name)))
        self._parameters(b, f"parameters_other.{group}", known, group, "others")

    # -- parts ------------------------------------------------------------------------------------------------------

    def _constant(self, b: GraphBuilder, value: Any) -> str:
        return b.constant(value, np.float32 if self.single else np.float64)

    def _stored(self, chain: str, layer: int, part: str) -> np.ndarray:
        return self.tensors[f"entropy.{chain}.{layer}.{part}"]

    def _outputs(self, chain: str) -> int:
        """Return the number of channels that a network gives."""
        layers = sum(spec["kind"] != "shuffle" for spec in self.shapes["chains"][chain])
        return int(self._stored(chain, layers - 1, "bias").shape[0])

    @staticmethod
    def _rows_at(b: GraphBuilder, x: str, positions: str, channels: int) -> str:
        """Return the rows [B, P, C] of planes [B, h, w, C] at positions."""
        batch = b.dims(x, 0)[0]
        return b.op("Gather", b.reshape(x, batch, -1, channels), positions, axis=1)

    def _parameters(self, b: GraphBuilder, name: str, known: Sequence[str], group: int, positions: str) -> None:
        """Give out indices of tables and means, both [B, P, c]."""
        channels = self.groups[group]
        rows = known[0] if len(known) == 1 else b.op("Concat", *known, axis=2)
        out = self._chain(b, name, rows, planes=False)
        indices, means = (b.part(out, start, start + channels, 2) for start in (0, channels))
        b.output("tables", b.cast(indices, UINT8), UINT8, ["batch", positions, channels])
        b.output("means", b.cast(means, INT16), INT16, ["batch", positions, channels])

    def _chain(self, b: GraphBuilder, name: str, x: str, *, planes: bool = True) -> str:
        """Return what a network makes of planes [B, h, w, C] or of rows [B, P, C], in the same form."""
        limits = f"entropy.{name}.limits"
        if limits in self.tensors:
            high = b.weight(limits, self.kind)
            x = b.op("Max", b.op("Min", x, high), b.op("Neg", high))
        sides = b.dims(x, *range(3 if planes else 2))
        channels = 0  # of the rows that x now is, or 0 where it still is in the form that it came in
        layer = 0
        for spec in self.shapes["chains"][name]:
            if spec["kind"] == "point":
                inputs, outputs = self._stored(name, layer, "weight").shape
                rows = x if channels else b.reshape(x, -1, inputs)
                x, channels = self._layer(b, name, layer, rows), outputs
            else:
                x = b.reshape(x, *sides, channels) if channels else x
                if spec["kind"] == "shuffle":
                    x = b.op("Transpose", x, perm=[0, 3, 1, 2])
                    x = b.op("DepthToSpace", x, blocksize=2, mode="CRD")
                    x = b.op("Transpose", x, perm=[0, 2, 3, 1])
                    sides = [sides[0], *(b.op("Mul", side, b.sizes(2)) for side in sides[1:])]
                elif spec["kind"] == "depthwise" and spec["kernel"] == 3:
                    x = self._depthwise(b, name, layer, x, sides)
                else:
                    raise ValueError(f"{name}: {spec['kind']} layers of {spec['kernel']} have no graph")
                channels = 0
            layer += spec["kind"] != "shuffle"
        return b.reshape(x, *sides, channels) if channels else x

    def _scaled(self, b: GraphBuilder, chain: str, layer: int, part: str) -> str:
        """Return a layer's integers, counted in 2^-shift; a session computes them once."""
        powers = self._constant(b, 2.0 ** -np.arange(SHIFTS))
        scale = b.op("Gather", powers, b.weight(f"entropy.{chain}.{layer}.shift", INT32))
        return b.op("Mul", b.weight(f"entropy.{chain}.{layer}.{part}", self.kind), scale)

    def _layer(self, b: GraphBuilder, chain: str, layer: int, rows: str) -> str:
        """Return a point layer of rows [N, I]: [N, O]."""
        weight, bias = (self._scaled(b, chain, layer, part) for part in ("weight", "bias"))
        return self._clamped(b, chain, layer, b.op("Gemm", rows, weight, bias))

    def _depthwise(self, b: GraphBuilder, chain: str, layer: int, x: str, sides: Sequence[str]) -> str:
        """Return a depthwise layer of planes [B, h, w, C]."""
        weight, bias = (self._scaled(b, chain, layer, part) for part in ("weight", "bias"))  # [9, C], [C]
        count = self._stored(chain, layer, "bias").shape[0]
        if self.single:
            kernel = b.reshape(b.op("Transpose", weight, perm=[1, 0]), count, 1, 3, 3)
            x = b.op("Transpose", x, perm=[0, 3, 1, 2])
            total = b.op("Conv", x, kernel, bias, group=count, pads=[1, 1, 1, 1])
            total = b.op("Transpose", total, perm=[0, 2, 3, 1])
        else:  # no runtime has a convolution of doubles
            padded = b.op("Pad", x, b.sizes(0, 1, 1, 0, 0, 1, 1, 0), self._constant(b, 0))
            total = bias
            for tap in range(9):
                start = b.sizes(*divmod(tap, 3))
                stop = b.op("Add", start, b.op("Concat", *sides[1:], axis=0))
                seen = b.op("Slice", padded, start, stop, b.sizes(1, 2))
                total = b.op("Add", total, b.op("Mul", seen, b.part(weight, tap, tap + 1, 0)))
        return self._clamped(b, chain, layer, total)

    def _clamped(self, b: GraphBuilder, chain: str, layer: int, total: str) -> str:
        low, high = (self._stored(chain, layer, part) for part in ("low", "high"))
        total = b.op("Round", total)
        if (low == low[0]).all() and (high == high[0]).all():
            return b.op("Clip", total, self._constant(b, low[0]), self._constant(b, high[0]))
        least, most = (b.weight(f"entropy.{chain}.{layer}.{part}", self.kind) for part in ("low", "high"))
        return b.op("Max", b.op("Min", total, most), least)
