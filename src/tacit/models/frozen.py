"""The entropy model as the codec runs it: integer networks and tables, walked in the one coding order.

Units: y is counted in sixteenths of a quantisation step (int16); means lie on that grid, symbols are whole steps. z is
counted in 1/256. The quality is counted in hundredths, as in the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from tacit.entropy.coder import SymbolModels
from tacit.entropy.pool import coders
from tacit.entropy.streams import LocalCoders, Stream, StreamCoders, StreamModels, check_not_empty
from tacit.entropy.tables import SYMBOL_LIMIT, FrequencyTables
from tacit.entropy.units import HYPER_STEP, MEAN_LIMIT, QUALITY_REACH, Y_UNIT, Z_UNIT
from tacit.errors import NotExact
from tacit.exact.arithmetic import ARITHMETICS, DOUBLE, Arithmetic, exact_arithmetic
from tacit.exact.layers import FrozenChain
from tacit.models.attention import to_rows
from tacit.models.coding_order import EntropyNets, Step, walk
from tacit.models.host_memory import host_empty, to_device, to_host

Y_LIMIT = MEAN_LIMIT + Y_UNIT * SYMBOL_LIMIT  # of y in sixteenths; below 2^15

SymbolSink = Callable[[int, Step, np.ndarray, np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class EntropyParts:
    """What a weights file stores about a frozen entropy model."""

    shapes: dict[str, Any]  # for the metadata
    tensors: dict[str, Tensor]  # integers


@dataclass(frozen=True)
class _Record:
    """What was quantised in each step, on the device."""

    steps: list[Step]
    step_tables: list[Tensor]  # [B, P c] uint8
    step_symbols: list[Tensor]  # [B, P c] int16; zero where nothing is coded

    @property
    def sizes(self) -> list[int]:
        """How many values of an image each step has."""
        return [tables.shape[1] for tables in self.step_tables]

    def tables(self) -> np.ndarray:
        """Return the tables of all values, step after step [B, N] uint8."""
        return to_host(torch.cat(self.step_tables, dim=1))

    def symbols(self) -> np.ndarray:
        """Return the symbols of all values, step after step [B, N] int16."""
        return to_host(torch.cat(self.step_symbols, dim=1))


class FrozenEntropy(nn.Module):
    """Integer networks by the names of `EntropyNets`, and tables for y and z.

    Args:
        groups: Channels of y in each group of the coding order.
        chains: The networks, by name and index: `local_context.0`.
        y_tables: One table for each scale.
        z_tables: One table for each channel of z.
        medians: The values about which z is rounded [Z], in 1/256.
        thresholds: Rising integers: the table of a scale output is the number of thresholds below it; None if the
            output is the table's index.
        plane: Whether the hyper-synthesis takes the quality beside z.
        skip: Tables below this one code nothing: the symbols there are zero.
        arithmetic: The numbers that hold the integers.
    """

    def __init__(
        self,
        *,
        groups: Sequence[int],
        chains: dict[str, FrozenChain],
        y_tables: FrequencyTables,
        z_tables: FrequencyTables,
        medians: Tensor,
        thresholds: Tensor | None,
        plane: bool,
        skip: int,
        arithmetic: Arithmetic,
    ) -> None:
        super().__init__()
        self.groups = tuple(groups)
        count = len(self.groups)
        self.hyper_synthesis = chains["hyper_synthesis"]
        self.channel_context = nn.ModuleList([chains[f"channel_context.{i}"] for i in range(count - 1)])
        self.local_context = nn.ModuleList([chains[f"local_context.{i}"] for i in range(count)])
        self.parameters_anchor = nn.ModuleList([chains[f"parameters_anchor.{i}"] for i in range(count)])
        self.parameters_other = nn.ModuleList([chains[f"parameters_other.{i}"] for i in range(count)])
        for i in range(count):  # the first step's values on a board of zeros go in, and the second step's come out
            local = chains[f"local_context.{i}"]
            local.alternate = local.may_alternate()
        self.chains = chains
        self.y_models = SymbolModels(y_tables)
        self.z_models = SymbolModels(z_tables)
        self.medians: Tensor
        self.register_buffer("medians", medians.double())  # [Z], in 1/256
        self.thresholds: Tensor | None
        self.register_buffer("thresholds", None if thresholds is None else thresholds.double())
        self.plane = plane
        self.skip = skip  # tables below this one code nothing
        self.arithmetic = arithmetic
        self.stream_models = StreamModels(self.z_models, self.y_models, skip)

    # -- storage ------------------------------------------------------------------------------------------------

    def parts(self) -> EntropyParts:
        """Return what a weights file stores."""
        shapes: dict[str, Any] = {
            "groups": list(self.groups),
            "plane": self.plane,
            "skip": self.skip,
            "chains": {name: chain.describe() for name, chain in self.chains.items()},
        }
        if self.arithmetic is not DOUBLE:  # which files state that are older than the choice
            shapes["bits"] = self.arithmetic.bits
        tensors = {f"{n}.{k}": v for n, chain in self.chains.items() for k, v in chain.integers().items()}
        tensors["medians"] = self.medians.to(torch.int32)
        if self.thresholds is not None:
            tensors["thresholds"] = self.thresholds.to(torch.int32)
        for name, models in (("y", self.y_models), ("z", self.z_models)):
            for field in ("frequencies", "sizes", "lows"):
                tensors[f"tables.{name}.{field}"] = torch.from_numpy(getattr(models.tables, field))
        return EntropyParts(shapes, tensors)

    @staticmethod
    def restore(parts: EntropyParts) -> FrozenEntropy:
        """Return the entropy model that `parts` came from.

        Raises:
            KeyError: A part is missing.
            TypeError: A part is of another kind.
            ValueError: The parts do not belong together.
        """
        shapes, tensors = parts.shapes, parts.tensors
        bits = shapes.get("bits", DOUBLE.bits)
        if bits not in ARITHMETICS:
            raise ValueError(f"bits must be one of {', '.join(map(str, ARITHMETICS))}, got {bits!r}")
        chains: dict[str, FrozenChain] = {}
        for name, specs in shapes["chains"].items():
            prefix = name + "."
            chains[name] = FrozenChain.restore(
                specs,
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)},
                ARITHMETICS[bits],
            )
        tables = {
            n: FrequencyTables(*(tensors[f"tables.{n}.{f}"].numpy() for f in ("frequencies", "sizes", "lows")))
            for n in ("y", "z")
        }
        return FrozenEntropy(
            groups=shapes["groups"],
            chains=chains,
            y_tables=tables["y"],
            z_tables=tables["z"],
            medians=tensors["medians"],
            thresholds=tensors.get("thresholds"),
            plane=shapes["plane"],
            skip=shapes["skip"],
            arithmetic=ARITHMETICS[bits],
        )

    def check(self, groups: Sequence[int], hyper: int) -> None:
        """Check that the parts belong together, and to a model with these channels, and that every sum is exact.

        Args:
            groups: Channels of y in each group of the coding order.
            hyper: Channels of z.

        Raises:
            ValueError: They do not, or a sum could reach the bound below which integers are exact.
        """
        tables = len(self.y_models.tables)
        if not groups or min(groups) < 1 or self.groups != tuple(groups):
            raise ValueError(f"groups must be {tuple(groups)}, got {self.groups}")
        if self.medians.shape != (hyper,) or len(self.z_models.tables) != hyper:
            raise ValueError(
                f"z must have {hyper} tables and medians, got {len(self.z_models.tables)} and {self.medians.numel()}"
            )
        if not 0 <= self.skip < tables <= 256:
            raise ValueError(
                f"some of at most 256 tables must code something, got {tables} of which {self.skip} code nothing"
            )
        if self.thresholds is not None and not (self.thresholds.ndim == 1 and len(self.thresholds) < tables):
            raise ValueError(f"thresholds must be fewer than the {tables} tables, got {list(self.thresholds.shape)}")
        features = self.hyper_synthesis.channels(hyper + bool(self.plane))
        for i, channels in enumerate(groups):
            known = features + (self.chains[f"channel_context.{i - 1}"].channels(sum(groups[:i])) if i else 0)
            seen = self.chains[f"local_context.{i}"].channels(channels)
            for name, inputs in ((f"parameters_anchor.{i}", known), (f"parameters_other.{i}", known + seen)):
                chain = self.chains[name]
                if chain.channels(inputs) != 2 * channels:
                    raise ValueError(f"{name} must give {2 * channels} parameters, got {chain.channels(inputs)}")
                last: Any = chain.layers[-1]
                least, most = float(last.low[:channels].min()), float(last.high[:channels].max())
                if self.thresholds is None and not 0 <= least <= most < tables:
                    raise ValueError(f"{name} must choose one of {tables} tables, got {least:g} to {most:g}")
                means = torch.cat([last.low[channels:], last.high[channels:]])
                if float(means.abs().max()) > MEAN_LIMIT:
                    raise ValueError(f"{name} must give means within {MEAN_LIMIT}, got {float(means.abs().max()):g}")
        try:
            self._prove()
        except NotExact as error:
            raise ValueError(str(error)) from error

    def _prove(self) -> None:
        """Prove that every sum is exact, whatever is decoded.

        Raises:
            NotExact: One could reach the bound.
        """

        def proven(name: str, inputs: Tensor) -> Tensor:  # the lowest and the highest integers [2, C]
            try:
                return torch.stack(self.chains[name].prove(inputs[0], inputs[1], self.arithmetic))
            except NotExact as error:
                raise NotExact(f"{name}: {error}") from error

        z = torch.full_like(self.medians, float(SYMBOL_LIMIT))
        if self.arithmetic is DOUBLE:
            z = z * Z_UNIT + self.medians.abs()
        z = torch.cat([z, z.new_full((int(self.plane),), QUALITY_REACH)])
        y = self.medians.new_full((sum(self.groups),), float(Y_LIMIT))
        y, z = torch.stack([-y, y]), torch.stack([-z, z])
        hyper = proven("hyper_synthesis", z)
        start = 0
        for i, channels in enumerate(self.groups):
            known = [hyper]
            if i:
                known.insert(0, proven(f"channel_context.{i - 1}", y[:, :start]))
            proven(f"parameters_anchor.{i}", torch.cat(known, dim=1))
            known.insert(0, proven(f"local_context.{i}", y[:, :channels]))
            proven(f"parameters_other.{i}", torch.cat(known, dim=1))
            start += channels

    # -- coding -------------------------------------------------------------------------------------------------

    def quantise_hyper(self, z: Tensor) -> Tensor:
        """Return the symbols of z [B, Z, h, w], rounded about the medians."""
        medians = (self.medians / Z_UNIT)[:, None, None]
        return (z.double() - medians).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)

    def hyper_features(self, symbols: Tensor, quality: int | Tensor, height: int, width: int) -> Tensor:
        """Return the output of the hyper-synthesis [B, F, height, width], integers of the type of the symbols.

        Args:
            symbols: Of z [B, Z, hz, wz], of the type in which everything is computed.
            quality: In hundredths, one or one for each hyper-latent [B, hz, wz].
            height: Of y.
            width: Of y.
        """
        z = symbols
        if self.arithmetic is DOUBLE:  # else the medians are in the first layer's bias
            z = symbols * Z_UNIT + self.medians[:, None, None]
        if self.plane:
            plane = torch.as_tensor(quality - QUALITY_REACH, dtype=z.dtype, device=z.device)
            plane = plane[:, None] if plane.ndim else plane.expand(z.shape[0], 1, *z.shape[2:])
            z = torch.cat([z, plane], dim=1)
        return self.hyper_synthesis(z)[:, :, :height, :width]  # type: ignore[no-any-return]

    def _tables_and_means(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return indices of tables (uint8) and means in sixteenths, both [B, P, c], for parameters [B, P, 2 c]."""
        scales, means = parameters.chunk(2, dim=-1)
        if self.thresholds is not None:
            scales = torch.bucketize(scales.contiguous(), self.thresholds)
        return scales.to(torch.uint8), means

    def quantise(self, y: Tensor, z_symbols: Tensor, quality: int | Tensor, put: SymbolSink | None) -> Tensor:
        """Quantise y as the decoder will see it.

        Args:
            y: After the gain [B, M, h, w], float.
            z_symbols: [B, Z, hz, wz].
            quality: As in `hyper_features`.
            put: Called with (image, step, coded, indices, symbols) for each image at each step, in coding order, after
                all steps are done: which of the step's [P, c] values are coded, flat; their tables; and their symbols.

        Returns:
            y in sixteenths [B, M, h, w], int16.
        """
        latents, record = self._quantise(y, z_symbols, quality)
        if put is not None:
            for image, (tables, symbols) in enumerate(zip(record.tables(), record.symbols(), strict=True)):
                start = 0
                for step, size in zip(record.steps, record.sizes, strict=True):
                    part = slice(start, start + size)
                    coded = np.flatnonzero(tables[part] >= self.skip)
                    put(image, step, coded, tables[part][coded], symbols[part][coded].astype(np.int32))
                    start += size
        return latents

    def _quantise(self, y: Tensor, z_symbols: Tensor, quality: int | Tensor) -> tuple[Tensor, _Record]:
        """Quantise y, as `quantise` does, and record what is coded: a GPU does all of it before anything waits."""
        with exact_arithmetic(y.device, self.arithmetic) as dtype:
            rows = to_rows(y)
            hyper = self.hyper_features(z_symbols.to(dtype), quality, y.shape[2], y.shape[3])

            record = _Record([], [], [])

            def visit(step: Step, parameters: Tensor) -> Tensor:
                indices, means = self._tables_and_means(parameters)
                values = rows[:, step.positions, step.start : step.stop].double()
                symbols = (values - means / Y_UNIT).round_().clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT)
                symbols *= indices >= self.skip
                record.steps.append(step)
                record.step_tables.append(indices.flatten(1))
                record.step_symbols.append(symbols.flatten(1).to(torch.int16))
                return symbols.mul_(Y_UNIT).add_(means).to(dtype)

            return walk(cast(EntropyNets, self), hyper, visit).to(torch.int16), record

    def compress(
        self, y: Tensor, z: Tensor, quality: int | Tensor, falling: bool = False
    ) -> tuple[list[Stream], Tensor]:
        """Entropy-code latents.

        Args:
            y: After the gain [B, M, h, w], float.
            z: [B, Z, hz, wz], float.
            quality: As in `hyper_features`.
            falling: Whether the tables of each step come in falling order.

        Returns:
            The stream of each image, and y in sixteenths [B, M, h, w], int16.
        """
        hyper = self.quantise_hyper(z)
        latents, record = self._quantise(y, hyper, quality)
        z_symbols = to_host(hyper.flatten(1).to(torch.int16))
        streams = self.coders(len(y)).encode(
            self.stream_models, z_symbols, record.sizes, record.tables(), record.symbols(), falling
        )
        return streams, latents

    def coders(self, images: int) -> StreamCoders:
        """Return what codes the streams of so many images: in several processes beside a GPU, else here."""
        return coders(images, torch.get_num_threads()) if self.medians.device.type == "cuda" else LocalCoders()

    def bits(self, y: Tensor, z: Tensor, quality: int | Tensor) -> np.ndarray:
        """Return the bits that `compress` takes at each position [B, h, w], float64.

        The bits of a hyper-latent are shared equally by the 4x4 positions that it is for. The arguments are those of
        `compress`.
        """
        height, width = y.shape[2:]
        symbols = self.quantise_hyper(z)
        hyper = symbols.flatten(2).int().cpu().numpy()  # [B, Z, hz * wz]
        tables = np.arange(hyper.shape[1])[:, None].repeat(hyper.shape[2], axis=1)
        rows, columns = np.arange(height) // HYPER_STEP, np.arange(width) // HYPER_STEP
        served = rows[:, None] * symbols.shape[3] + columns  # [h, w], the hyper-latent of each position
        shares = np.bincount(served.ravel(), minlength=hyper.shape[2])
        totals = np.stack([(self.z_models.tables.bits(tables, one).sum(axis=0) / shares)[served] for one in hyper])

        def put(image: int, step: Step, coded: np.ndarray, indices: np.ndarray, values: np.ndarray) -> None:
            places = step.positions.cpu().numpy()[coded // (step.stop - step.start)]
            weights = self.y_models.tables.bits(indices, values)
            totals[image] += np.bincount(places, weights, height * width).reshape(height, width)

        self.quantise(y, symbols, quality, put)
        return totals

    def decompress(self, streams: Sequence[Stream], height: int, width: int, quality: int | Tensor) -> Tensor:
        """Decode latents.

        Args:
            streams: The stream of each image.
            height: Of y.
            width: Of y.
            quality: As in `hyper_features`.

        Returns:
            y in sixteenths [B, M, height, width], int16.

        Raises:
            CorruptFile: No encoder can have written the bytes.
        """
        device = self.medians.device
        check_not_empty(streams)
        channels = len(self.z_models.tables)
        hz, wz = -(-height // HYPER_STEP), -(-width // HYPER_STEP)
        with (
            exact_arithmetic(device, self.arithmetic) as dtype,
            contextlib.closing(self.coders(len(streams)).decode(self.stream_models, streams)) as decoders,
        ):
            z = torch.from_numpy(decoders.hyper(hz * wz).reshape(len(streams), channels, hz, wz))
            hyper = self.hyper_features(z.to(device, dtype), quality, height, width)

            def visit(step: Step, parameters: Tensor) -> Tensor:
                indices, means = self._tables_and_means(parameters)
                tables = to_host(indices.flatten(1))
                symbols = host_empty(tables.shape, torch.int16, device)
                decoders.step(tables, symbols.numpy())
                return to_device(symbols, device).view(means.shape).to(dtype).mul_(Y_UNIT).add_(means)

            latents = walk(cast(EntropyNets, self), hyper, visit).to(torch.int16)
            decoders.finish()
        return latents
