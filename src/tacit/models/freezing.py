"""Freezing the entropy model of a float model: its networks to integers, its densities to tables."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tacit.entropy.tables import SYMBOL_LIMIT, FrequencyTables, gaussian_tables, prior_tables
from tacit.entropy.units import QUALITY_REACH, Y_UNIT, Z_UNIT
from tacit.errors import NotExact
from tacit.exact.arithmetic import SINGLE, Arithmetic
from tacit.exact.formats import IntegerFormat, OutputFormat
from tacit.exact.freezing import FrozenNetwork, freeze
from tacit.models.attention import to_rows
from tacit.models.coding_order import Net, Step, walk
from tacit.models.float_model import FloatModel
from tacit.models.frozen import Y_LIMIT, FrozenEntropy
from tacit.models.prior import FactorizedPrior

PRIOR_REACH = 255  # the largest symbol of z for which a table is made
INPUT_MARGIN = 2.1  # how many times the largest latent of the samples networks see before they clamp
HYPER_LIMIT = 4  # in quantisation steps, what the hyper-synthesis sees of any channel of z


@torch.no_grad()
def freeze_entropy(
    model: FloatModel, y: Tensor, z: Tensor, quality: Tensor, arithmetic: Arithmetic | None = None
) -> FrozenEntropy:
    """Freeze the entropy model of a float model.

    y, z and quality are samples of real use, from which the ranges of latents and activations are taken. In `SINGLE`,
    what is beyond those ranges is clamped, so that they must reach as far as images do: up to quality 100.

    Args:
        model: The float model.
        y: Latents after the gain [B, M, h, w].
        z: Hyper-latents [B, Z, hz, wz].
        quality: [B] in 0..100.
        arithmetic: The numbers that hold the integers; the architecture's own if not given.

    Raises:
        NotExact: A network's sum could reach the bound below which integers are exact.
    """
    y, z = y.float().cpu(), z.float().cpu()
    arithmetic = arithmetic or model.arithmetic()
    freezer = _NetworkFreezer(model, y, arithmetic)
    medians = model.prior.medians.cpu().float()
    hyper = freezer.hyper_synthesis(z, medians, quality)[:, :, : y.shape[2], : y.shape[3]]
    rows = to_rows(y)

    def visit(step: Step, parameters: Tensor) -> Tensor:
        """Quantise as coding does, with the float networks' means."""
        means = parameters.chunk(2, dim=-1)[1]
        scale = (freezer.latents.per_one[step.start : step.stop] / Y_UNIT).float()  # context units per step
        values = rows[:, step.positions, step.start : step.stop]
        mean = means * scale
        return ((values - mean).round() + mean) / scale

    walk(freezer, hyper, visit)
    return FrozenEntropy(
        groups=freezer.groups,
        chains={name: network.chain for name, network in freezer.networks.items()},
        y_tables=gaussian_tables(model.scale_table().tolist()),
        z_tables=_prior_tables(model.prior, medians),
        medians=(medians * Z_UNIT).round(),
        thresholds=model.index_thresholds(),
        plane=model.quality_plane(),
        skip=model.narrow_scales(),
        arithmetic=arithmetic,
    )


class _NetworkFreezer:
    """The entropy networks of a float model, each frozen when it is called; they return their float outputs.

    They have the names of `EntropyNets`, so that the coding order itself decides what each network is given.
    """

    def __init__(self, model: FloatModel, y: Tensor, arithmetic: Arithmetic) -> None:
        self.model, self.arithmetic = model, arithmetic
        nets: Any = model.entropy
        self.groups: Sequence[int] = nets.groups
        self.networks: dict[str, FrozenNetwork] = {}
        units = model.latent_units().double()
        self.latents = IntegerFormat.symmetric(units, _latent_limits(y, arithmetic))
        groups = range(len(self.groups))
        self.channel_context: Sequence[Net] = [partial(self._channel_context, group) for group in groups[1:]]
        self.local_context: Sequence[Net] = [partial(self._local_context, group) for group in groups]
        self.parameters_anchor: Sequence[Net] = [partial(self._parameters, "anchor", group) for group in groups]
        self.parameters_other: Sequence[Net] = [partial(self._parameters, "other", group) for group in groups]

    def hyper_synthesis(self, z: Tensor, medians: Tensor, quality: Tensor) -> Tensor:
        """Freeze the hyper-synthesis, and return its output for z rounded about the medians."""
        symbols = (z - medians[:, None, None]).round()
        network: Any = self.model.entropy.get_submodule("hyper_synthesis")
        if self.arithmetic is SINGLE:
            samples = symbols
            limits = _limits_above(z - medians[:, None, None]).clamp(HYPER_LIMIT, SYMBOL_LIMIT)
            inputs = IntegerFormat.symmetric(torch.ones_like(limits), limits)
            network = _with_medians(network, medians)
        else:
            samples = symbols + medians[:, None, None]
            limit = SYMBOL_LIMIT * Z_UNIT + float(medians.abs().max()) * Z_UNIT + 1
            inputs = IntegerFormat.uniform(z.shape[1], Z_UNIT, int(limit))
        if self.model.quality_plane():
            plane = ((quality - 50) / 50)[:, None, None, None].expand(-1, 1, *z.shape[2:])
            samples = torch.cat([samples, plane], dim=1)
            inputs = IntegerFormat.cat([inputs, IntegerFormat.uniform(1, QUALITY_REACH, QUALITY_REACH)])
        return self._freeze("hyper_synthesis", inputs, samples, network=network, clamped=True)

    def _channel_context(self, group: int, earlier: Tensor) -> Tensor:
        start, _ = self._channels(group)
        return self._freeze(f"channel_context.{group - 1}", self.latents.part(0, start), earlier, clamped=True)

    def _local_context(self, group: int, anchors: Tensor) -> Tensor:
        return self._freeze(f"local_context.{group}", self.latents.part(*self._channels(group)), anchors, clamped=True)

    def _parameters(self, kind: str, group: int, features: Tensor) -> Tensor:
        names = ["hyper_synthesis"]
        if group:
            names.insert(0, f"channel_context.{group - 1}")
        if kind == "other":
            names.insert(0, f"local_context.{group}")
        inputs = IntegerFormat.cat([self.networks[name].format for name in names])
        outputs = self.model.parameter_format(*self._channels(group))
        return self._freeze(f"parameters_{kind}.{group}", inputs, features, outputs)

    def _channels(self, group: int) -> tuple[int, int]:
        start = sum(self.groups[:group])
        return start, start + self.groups[group]

    def _freeze(
        self,
        name: str,
        inputs: IntegerFormat,
        samples: Tensor,
        outputs: OutputFormat | None = None,
        *,
        network: nn.Sequential | None = None,
        clamped: bool = False,
    ) -> Tensor:
        net: Any = network or self.model.entropy.get_submodule(name)
        clamped = clamped and self.arithmetic is SINGLE
        self.networks[name] = freeze(net, inputs, samples, outputs, arithmetic=self.arithmetic, clamped=clamped)
        return self.networks[name].samples


def _latent_limits(y: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Return the largest latents that contexts see, in sixteenths of a step [M].

    They are all that there can be, or in `SINGLE` powers of two above those of the samples.
    """
    if arithmetic is SINGLE:
        return _limits_above(y * Y_UNIT).clamp(2 * Y_UNIT, Y_LIMIT)
    return torch.full((y.shape[1],), float(Y_LIMIT), dtype=torch.float64)


def _limits_above(samples: Tensor) -> Tensor:
    """Return powers of two above the samples of each channel with a margin [C], for planes [B, C, h, w]."""
    largest = samples.abs().amax(dim=(0, 2, 3)).double() * INPUT_MARGIN
    return torch.exp2(largest.clamp_min(1).log2().ceil())


def _with_medians(network: nn.Sequential, medians: Tensor) -> nn.Sequential:
    """Return a hyper-synthesis that takes the symbols of z alone, with the medians in its first bias.

    Raises:
        NotExact: The first layer is none whose bias can take them.
    """
    first, *rest = network
    if not medians.any():
        return network
    if not isinstance(first, nn.Conv2d) or first.kernel_size != (1, 1) or first.bias is None:
        raise NotExact(f"the hyper-synthesis must begin with a 1x1 convolution with a bias, got {first}")
    first = copy.deepcopy(first)
    assert first.bias is not None
    first.bias += first.weight[:, : len(medians), 0, 0] @ medians
    return nn.Sequential(first, *rest)


def _prior_tables(prior: FactorizedPrior, medians: Tensor) -> FrequencyTables:
    symbols = torch.arange(-PRIOR_REACH, PRIOR_REACH + 1).float()
    grid = symbols[None, None, None, :] + medians[None, :, None, None]
    return prior_tables(prior.cpu().likelihood(grid)[0, :, 0].numpy())
