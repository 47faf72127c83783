"""The entropy model as the codec runs it: integer networks and tables, walked in the one coding order.

Units: y is counted in sixteenths of a quantisation step (int16); means lie on that grid, symbols are whole steps. z is
counted in 1/256. The quality is counted in hundredths, as in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from tacit.entropy.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from tacit.entropy.tables import SYMBOL_LIMIT, FrequencyTables
from tacit.errors import CorruptFile
from tacit.exact.arithmetic import exact_arithmetic
from tacit.exact.layers import FrozenChain
from tacit.models.attention import to_rows
from tacit.models.coding_order import MEAN_LIMIT, EntropyNets, Step, walk

Y_UNIT = 16
Z_UNIT = 256
Y_LIMIT = MEAN_LIMIT + Y_UNIT * SYMBOL_LIMIT  # below 2^15


@dataclass(frozen=True)
class EntropyParts:
    """Everything that a weights file stores of it: shapes for the metadata, integers for the tensors."""

    shapes: dict[str, Any]
    tensors: dict[str, Tensor]


class FrozenEntropy(nn.Module):
    """Integer networks by the names of `EntropyNets`, tables for y and z."""

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

    # -- storage ------------------------------------------------------------------------------------------------

    def parts(self) -> EntropyParts:
        """For a weights file."""
        shapes: dict[str, Any] = {
            "groups": list(self.groups),
            "plane": self.plane,
            "skip": self.skip,
            "chains": {name: chain.describe() for name, chain in self.chains.items()},
        }
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
        """From what `parts` gave.

        Raises:
            KeyError, ValueError: parts that do not belong together.
        """
        shapes, tensors = parts.shapes, parts.tensors
        chains: dict[str, FrozenChain] = {}
        for name, specs in shapes["chains"].items():
            prefix = name + "."
            chains[name] = FrozenChain.restore(
                specs, {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
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
        )

    def check(self, groups: Sequence[int], hyper: int) -> None:
        """Whether the parts belong together, and to a model of these groups of channels in y, and `hyper` in z.

        Raises:
            ValueError: they do not.
        """
        tables = len(self.y_models.tables)
        if not groups or min(groups) < 1 or self.groups != tuple(groups):
            raise ValueError(f"groups {self.groups}, the model has {tuple(groups)}")
        if self.medians.shape != (hyper,) or len(self.z_models.tables) != hyper:
            raise ValueError(
                f"{len(self.z_models.tables)} tables and {self.medians.numel()} medians for {hyper} channels"
            )
        if not 0 <= self.skip < tables <= 256:
            raise ValueError(f"{tables} tables, of which {self.skip} code nothing")
        if self.thresholds is not None and not (self.thresholds.ndim == 1 and len(self.thresholds) < tables):
            raise ValueError(f"thresholds {list(self.thresholds.shape)} for {tables} tables")
        features = self.hyper_synthesis.channels(hyper + bool(self.plane))
        for i, channels in enumerate(groups):
            known = features + (self.chains[f"channel_context.{i - 1}"].channels(sum(groups[:i])) if i else 0)
            seen = self.chains[f"local_context.{i}"].channels(channels)
            for name, inputs in ((f"parameters_anchor.{i}", known), (f"parameters_other.{i}", known + seen)):
                chain = self.chains[name]
                if chain.channels(inputs) != 2 * channels:
                    raise ValueError(f"{name} gives {chain.channels(inputs)} parameters for {channels} channels")
                last: Any = chain.layers[-1]
                least, most = float(last.low[:channels].min()), float(last.high[:channels].max())
                if self.thresholds is None and not 0 <= least <= most < tables:
                    raise ValueError(f"{name} chooses tables {least:g} to {most:g} of {tables}")

    # -- coding -------------------------------------------------------------------------------------------------

    def quantise_hyper(self, z: Tensor) -> Tensor:
        """z float [B, Z, h, w] -> symbols, rounded about the medians."""
        medians = (self.medians / Z_UNIT)[:, None, None]
        return (z.double() - medians).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)

    def hyper_features(self, symbols: Tensor, quality: int | Tensor, height: int, width: int) -> Tensor:
        """z symbols [B, Z, hz, wz] and the quality in hundredths, one or of each hyper-latent [B, hz, wz] -> H [B, F,
        height, width], integers."""
        z = symbols.double() * Z_UNIT + self.medians[:, None, None]
        if self.plane:
            plane = torch.as_tensor(quality - 5000, dtype=z.dtype, device=z.device)
            plane = plane[:, None] if plane.ndim else plane.expand(z.shape[0], 1, *z.shape[2:])
            z = torch.cat([z, plane], dim=1)
        return self.hyper_synthesis(z)[:, :, :height, :width]  # type: ignore[no-any-return]

    def _read(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters [B, P, 2 c] -> table indices (uint8) and means in sixteenths, [B, P, c]."""
        scales, means = parameters.chunk(2, dim=-1)
        if self.thresholds is not None:
            scales = torch.bucketize(scales.contiguous(), self.thresholds)
        return scales.to(torch.uint8), means

    def quantise(self, y: Tensor, z_symbols: Tensor, quality: int | Tensor, put: Put | None) -> Tensor:
        """Quantise y as the decoder will see it.

        y: [B, M, h, w] float, gained; z_symbols: [B, Z, hz, wz]; quality: as in `hyper_features`. put(image, step,
        coded, indices, symbols) takes each step's coded symbols of each image: which of its [P, c] values they are,
        their tables, and themselves. Returns y in sixteenths [B, M, h, w] int16.
        """
        with exact_arithmetic(y.device):
            rows = to_rows(y)
            hyper = self.hyper_features(z_symbols, quality, y.shape[2], y.shape[3])

            def visit(step: Step, parameters: Tensor) -> Tensor:
                indices, means = self._read(parameters)
                values = rows[:, step.positions, step.start : step.stop].double()
                symbols = (values - means / Y_UNIT).round_().clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT)
                symbols *= indices >= self.skip
                if put is not None:
                    tables, steps = indices.flatten(1).cpu().numpy(), symbols.flatten(1).int().cpu().numpy()
                    for image in range(y.shape[0]):
                        coded = np.flatnonzero(tables[image] >= self.skip)
                        put(image, step, coded, tables[image, coded], steps[image, coded])
                return symbols.mul_(Y_UNIT).add_(means)

            return walk(cast(EntropyNets, self), hyper, visit).to(torch.int16)

    def compress(self, y: Tensor, z: Tensor, quality: int | Tensor) -> tuple[list[bytes], Tensor]:
        """y: [B, M, h, w] gained; z: [B, Z, hz, wz], both float. Returns each image's bytes, and y in sixteenths."""
        symbols = self.quantise_hyper(z)
        encoders = [SymbolEncoder() for _ in range(y.shape[0])]
        channels, count = symbols.shape[1], symbols[0, 0].numel()
        z_indices = np.repeat(np.arange(channels, dtype=np.uint16), count)
        for encoder, image in zip(encoders, symbols, strict=True):
            encoder.put(self.z_models, z_indices, image.flatten().int().cpu().numpy())

        def put(image: int, step: Step, coded: np.ndarray, indices: np.ndarray, values: np.ndarray) -> None:
            encoders[image].put(self.y_models, indices, values)

        latents = self.quantise(y, symbols, quality, put)
        return [e.finish() for e in encoders], latents

    def bits(self, y: Tensor, z: Tensor, quality: int | Tensor) -> np.ndarray:
        """What `compress` takes the same for, as float64 bits at each position [B, h, w]. A hyper-latent's bits are
        those of the 4x4 positions that it is for, in equal parts."""
        height, width = y.shape[2:]
        symbols = self.quantise_hyper(z)
        hyper = symbols.flatten(2).int().cpu().numpy()  # [B, Z, hz * wz]
        tables = np.arange(hyper.shape[1])[:, None].repeat(hyper.shape[2], axis=1)
        rows, columns = np.arange(height) // 4, np.arange(width) // 4
        served = rows[:, None] * symbols.shape[3] + columns  # [h, w], the hyper-latent of each position
        shares = np.bincount(served.ravel(), minlength=hyper.shape[2])
        found = np.stack([(self.z_models.tables.bits(tables, one).sum(axis=0) / shares)[served] for one in hyper])

        def put(image: int, step: Step, coded: np.ndarray, indices: np.ndarray, values: np.ndarray) -> None:
            places = step.positions.cpu().numpy()[coded // (step.stop - step.start)]
            weights = self.y_models.tables.bits(indices, values)
            found[image] += np.bincount(places, weights, height * width).reshape(height, width)

        self.quantise(y, symbols, quality, put)
        return found

    def decompress(self, streams: Sequence[bytes], height: int, width: int, quality: int | Tensor) -> Tensor:
        """Each image's bytes -> y in sixteenths [B, M, height, width] int16.

        Raises:
            CorruptFile: bytes that no encoder wrote.
        """
        device = self.medians.device
        if not all(streams):
            raise CorruptFile("entropy-coded data of 0 bytes")  # the coder ends what has symbols with a word at least
        decoders = [SymbolDecoder(s) for s in streams]
        channels = len(self.z_models.tables)
        hz, wz = -(-height // 4), -(-width // 4)
        z_indices = np.repeat(np.arange(channels, dtype=np.uint16), hz * wz)
        z = np.stack([d.get(self.z_models, z_indices).reshape(channels, hz, wz) for d in decoders])
        with exact_arithmetic(device):
            hyper = self.hyper_features(torch.from_numpy(z).to(device), quality, height, width)

            def visit(step: Step, parameters: Tensor) -> Tensor:
                indices, means = self._read(parameters)
                tables = indices.flatten(1).cpu().numpy()
                symbols = np.zeros(tables.shape)
                for image, decoder in enumerate(decoders):
                    coded = np.flatnonzero(tables[image] >= self.skip)
                    symbols[image, coded] = decoder.get(self.y_models, tables[image, coded])
                return torch.from_numpy(symbols).to(device).view(means.shape).mul_(Y_UNIT).add_(means)

            latents = walk(cast(EntropyNets, self), hyper, visit).to(torch.int16)
        for decoder in decoders:
            decoder.finish()
        return latents


Put = Callable[[int, Step, np.ndarray, np.ndarray, np.ndarray], None]
