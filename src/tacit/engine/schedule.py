"""The coding order, driven with a model's graphs: what the host does between them is to code symbols.

Arrays are numpy's. The order itself is that of `tacit.models.coding_order`; here each of its steps is one graph.
Units: y is counted in sixteenths of a quantisation step (int16).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tacit.engine.bands import checkerboard, cut
from tacit.entropy.streams import LocalCoders, Stream, StreamModels, check_not_empty
from tacit.entropy.tables import SYMBOL_LIMIT
from tacit.entropy.units import HYPER_STEP, Y_UNIT


class Runner(Protocol):
    """Runs a graph by its name."""

    @property
    def lanes(self) -> int:
        """How many threads there are."""

    def run(self, name: str, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Return the outputs that are named."""

    def run_each(
        self, name: str, inputs: Sequence[dict[str, np.ndarray]], outputs: Sequence[str]
    ) -> list[list[np.ndarray]]:
        """Return the outputs that are named for each of several inputs, which run at once in one thread each."""


@dataclass(frozen=True, kw_only=True)
class GraphStep:
    """One step: some channels of y at some positions."""

    start: int  # the first channel
    stop: int  # the channel after the last
    positions: np.ndarray  # row-major indices into height * width [P]


Put = Callable[[GraphStep, np.ndarray, np.ndarray], None]
"""Takes a step, the tables of its values (uint8) and their symbols (int16), both [B, P c]; zero where none is coded."""

Visit = Callable[[GraphStep, np.ndarray, np.ndarray], np.ndarray]
"""Called with a step, the tables of its values (uint8) and their means (int16), both [B, P, c]; returns the symbols."""


@dataclass(frozen=True, kw_only=True)
class LatentCoding:
    """Latents to bytes and back, by a model's graphs and tables."""

    runner: Runner
    """Runs the graphs."""

    groups: Sequence[int]
    """Channels of y in each group of the coding order."""

    models: StreamModels
    """The tables of y and z."""

    medians: np.ndarray
    """The values about which z is rounded [Z], in steps."""

    plane: bool
    """Whether the hyper-synthesis takes the quality beside z."""

    reach: int
    """How many rows around a position the networks of a step see."""

    def walk(
        self, z: np.ndarray, quality: np.ndarray, height: int, width: int, visit: Visit, count: int | None = None
    ) -> np.ndarray:
        """Visit the steps in coding order.

        Args:
            z: Symbols [B, Z, hz, wz], int32.
            quality: In hundredths [B, hz, wz], int32.
            height: Of y.
            width: Of y.
            visit: Codes a step.
            count: How many groups are visited; None for all.

        Returns:
            y of these groups in sixteenths [B, M, height, width], int16.
        """
        groups = self.groups[:count]
        anchors, others = checkerboard(height, width)
        inputs = {"symbols": z, "size": np.array([height, width]), "anchors": anchors, "others": others}
        if self.plane:
            inputs["quality"] = quality
        hyper = self.runner.run("hyper", inputs, ["anchors_features", "others_features"])
        bands = cut(height, width, self.reach, self.runner.lanes)
        board = np.zeros((len(z), height, width, sum(groups)), np.int16)
        flat = board.reshape(len(z), height * width, -1)
        stop = 0
        for group, channels in enumerate(groups):
            start, stop = stop, stop + channels

            def coded(positions: np.ndarray, outputs: list[list[np.ndarray]], first: int, last: int) -> None:
                tables, means = (
                    outputs[0][i] if len(outputs) == 1 else np.concatenate([one[i] for one in outputs], axis=1)
                    for i in range(2)
                )
                symbols = visit(GraphStep(start=first, stop=last, positions=positions), tables, means)
                flat[:, positions, first:last] = Y_UNIT * symbols + means

            known = [{"features": np.ascontiguousarray(hyper[0][:, band.anchors_span])} for band in bands]
            if group:
                for one, band in zip(known, bands, strict=True):
                    one["earlier"] = np.ascontiguousarray(board[:, band.rows, :, :start])
                    one |= {"anchors": band.anchors, "others": band.others}
            names = ["tables", "means", *(["context"] if group else [])]
            outputs = self.runner.run_each(f"anchor.{group}", known, names)
            coded(anchors, outputs, start, stop)

            known = [
                {
                    "features": np.ascontiguousarray(hyper[1][:, band.others_span]),
                    "decoded": np.ascontiguousarray(board[:, band.rows, :, start:stop]),
                    "others": band.others,
                }
                | ({"context": of_anchors[2]} if group else {})
                for band, of_anchors in zip(bands, outputs, strict=True)
            ]
            coded(others, self.runner.run_each(f"other.{group}", known, names[:2]), start, stop)
        return np.ascontiguousarray(board.transpose(0, 3, 1, 2))

    def quantise_hyper(self, z: np.ndarray) -> np.ndarray:
        """Return the symbols of z [B, Z, h, w], rounded about the medians, int32."""
        rounded = np.rint(z.astype(np.float64) - self.medians[:, None, None])
        symbols: np.ndarray = rounded.clip(-SYMBOL_LIMIT, SYMBOL_LIMIT).astype(np.int32)
        return symbols

    def _quantising(self, y: np.ndarray, put: Put) -> Visit:
        """Return a visit that rounds y about the means."""
        values = y.reshape(*y.shape[:2], -1).transpose(0, 2, 1)  # [B, h w, M]

        def visit(step: GraphStep, tables: np.ndarray, means: np.ndarray) -> np.ndarray:
            own = values[:, step.positions, step.start : step.stop].astype(np.float64)
            symbols = np.rint(own - means / Y_UNIT).clip(-SYMBOL_LIMIT, SYMBOL_LIMIT).astype(np.int32)
            symbols *= tables >= self.models.skip
            put(step, tables.reshape(len(tables), -1), symbols.reshape(len(symbols), -1).astype(np.int16))
            return symbols

        return visit

    def compress(
        self, y: np.ndarray, z: np.ndarray, quality: np.ndarray, falling: bool = False
    ) -> tuple[list[Stream], np.ndarray]:
        """Entropy-code latents.

        Args:
            y: After the gain [B, M, h, w], float32.
            z: Hyper-latents [B, Z, hz, wz], float32.
            quality: As in `walk`.
            falling: Whether the tables of each step come in falling order.

        Returns:
            The stream of each image, and y as decoded, in sixteenths, int16.
        """
        symbols = self.quantise_hyper(z)
        step_tables: list[np.ndarray] = []
        step_symbols: list[np.ndarray] = []

        def put(step: GraphStep, tables: np.ndarray, values: np.ndarray) -> None:
            step_tables.append(tables)
            step_symbols.append(values)

        latents = self.walk(symbols, quality, y.shape[2], y.shape[3], self._quantising(y, put))
        streams = LocalCoders().encode(
            self.models,
            symbols.reshape(len(symbols), -1),
            [tables.shape[1] for tables in step_tables],
            np.concatenate(step_tables, axis=1),
            np.concatenate(step_symbols, axis=1),
            falling,
        )
        return streams, latents

    def bits(self, y: np.ndarray, z: np.ndarray, quality: np.ndarray) -> np.ndarray:
        """Return the bits that `compress` takes at each position [B, h, w], float64.

        The bits of a hyper-latent are shared equally by the 4x4 positions that it is for.
        """
        height, width = y.shape[2:]
        symbols = self.quantise_hyper(z)
        tables = np.arange(symbols.shape[1])[:, None]
        served = (np.arange(height) // HYPER_STEP)[:, None] * symbols.shape[3] + np.arange(width) // HYPER_STEP
        shares = np.bincount(served.ravel(), minlength=symbols[0, 0].size)
        each = [one.reshape(len(one), -1) for one in symbols]
        costs = [self.models.z.tables.bits(np.broadcast_to(tables, one.shape), one).sum(axis=0) for one in each]
        totals = np.stack([(cost / shares)[served] for cost in costs])

        def put(step: GraphStep, tables: np.ndarray, values: np.ndarray) -> None:
            for total, own_tables, own_values in zip(totals, tables, values, strict=True):
                coded = np.flatnonzero(own_tables >= self.models.skip)
                places = step.positions[coded // (step.stop - step.start)]
                cost = self.models.y.tables.bits(own_tables[coded], own_values[coded].astype(np.int32))
                total += np.bincount(places, cost, height * width).reshape(height, width)

        self.walk(symbols, quality, height, width, self._quantising(y, put))
        return totals

    def decompress(
        self, streams: Sequence[Stream], height: int, width: int, quality: np.ndarray, count: int | None = None
    ) -> np.ndarray:
        """Decode latents.

        Args:
            streams: The stream of each image.
            height: Of y.
            width: Of y.
            quality: As in `walk`.
            count: How many groups are decoded, the first of the coding order; None for all.

        Returns:
            y of these groups in sixteenths [B, M, height, width], int16.

        Raises:
            CorruptFile: No encoder can have written the bytes, as far as they were read.
        """
        check_not_empty(streams)
        decoders = LocalCoders().decode(self.models, streams)
        rows, columns = -(-height // HYPER_STEP), -(-width // HYPER_STEP)
        z = decoders.hyper(rows * columns).reshape(len(streams), -1, rows, columns)

        def visit(step: GraphStep, tables: np.ndarray, means: np.ndarray) -> np.ndarray:
            symbols = np.empty((len(streams), means[0].size), np.int16)
            decoders.step(tables.reshape(len(streams), -1), symbols)
            return symbols.reshape(means.shape).astype(np.int32)

        latents = self.walk(z.astype(np.int32), quality, height, width, visit, count)
        if count is None or count >= len(self.groups):
            decoders.finish()
        return latents
