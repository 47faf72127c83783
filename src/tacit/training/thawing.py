"""Thawing: a float model from a weights file, so that training can go on where no checkpoint is left.

The frozen networks are integers, and the units of their layers are not stored. They need not be: with ReLU between the
layers, any unit of a layer makes the same network. So each unit is chosen such that the layer's weights have the size
of fresh ones. The prior is fitted to its tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tacit import weights
from tacit.entropy.units import Z_UNIT
from tacit.exact.arithmetic import SINGLE
from tacit.exact.layers import FrozenChain, FrozenLayer
from tacit.models.building import build
from tacit.models.float_model import FloatModel
from tacit.models.frozen import FrozenEntropy
from tacit.models.prior import FactorizedPrior

ROW_NORM = 1 / math.sqrt(3)  # of a fresh layer's rows, as torch makes them
FIT_STEPS = 400


def thaw(path: Path) -> FloatModel:
    """Return the float model of a weights file; it equals the frozen networks but for rounding.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file is damaged.
    """
    architecture = weights.describe(path).architecture
    coding = weights.load(path)
    model = build(architecture, coding.config.as_dict())
    floats = coding.float_model.state_dict()
    model.load_state_dict({**{k: v for k, v in model.state_dict().items() if k not in floats}, **floats})
    frozen: FrozenEntropy = coding.entropy
    with torch.no_grad():
        _write_entropy(model, frozen)
    fit_prior(model.prior, frozen)
    return model


def _write_entropy(model: FloatModel, frozen: FrozenEntropy) -> None:
    nets: Any = model.entropy
    single = frozen.arithmetic is SINGLE  # its hyper-synthesis takes symbols
    z = torch.full((model.prior.channels,), 1.0 if single else Z_UNIT, dtype=torch.float64)
    if model.quality_plane():
        z = torch.cat([z, z.new_tensor([5000.0])])
    latents = model.latent_units().double()
    nothing = z.new_zeros(0)
    hyper = _write_chain(nets.hyper_synthesis, frozen.chains["hyper_synthesis"], z)
    if single and frozen.medians.any():
        first = nets.hyper_synthesis[0]
        first.bias -= first.weight[:, : model.prior.channels, 0, 0] @ (frozen.medians / Z_UNIT).float()
    start = 0
    for group, channels in enumerate(frozen.groups):
        stop = start + channels
        context, local = nothing, latents[start:stop]
        if group:
            name = f"channel_context.{group - 1}"
            context = _write_chain(nets.channel_context[group - 1], frozen.chains[name], latents[:start])
        local = _write_chain(nets.local_context[group], frozen.chains[f"local_context.{group}"], local)
        target = model.parameter_format(start, stop)
        for kind, first in (("parameters_anchor", nothing), ("parameters_other", local)):
            inputs = torch.cat([first, context, hyper])
            _write_chain(
                getattr(nets, kind)[group], frozen.chains[f"{kind}.{group}"], inputs, target.per_one, target.offset
            )
        start = stop


def _write_chain(
    net: nn.Sequential, chain: FrozenChain, units: Tensor, last: Tensor | None = None, offset: Tensor | None = None
) -> Tensor:
    """Write a chain's integers into a network.

    Args:
        net: The network, which is changed.
        chain: The chain.
        units: The unit of each input channel: how many integers are a float of 1.
        last: The unit of each output channel; chosen if None.
        offset: What is added to each output channel, in integers; nothing if None.

    Returns:
        The unit of each output channel.
    """
    layers = [cast(FrozenLayer, layer) for layer in chain.layers]
    modules = [m for m in net if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    remaining = iter(zip(modules, layers, strict=True))
    for spec in chain.specs:
        if spec.kind == "shuffle":
            units = units[::4]
            continue
        module, layer = next(remaining)
        stored = {name: value.double() for name, value in layer.integers().items()}
        scale = torch.exp2(-stored["shift"])
        real = stored["weight"] * scale  # integers out per integer in
        taps = {"point": real[None], "depthwise": real[:, None]}.get(spec.kind, real)  # [taps, I or 1, O]
        per_input = units[None, None, :] if spec.kind == "depthwise" else units[None, :, None]
        taps = taps * per_input
        outputs = taps.shape[-1]
        if layer is layers[-1] and last is not None:
            output_units = last
        else:
            output_units = taps.new_full(
                (outputs,), float(taps.square().sum(dim=(0, 1)).mean().sqrt().clamp_min(1e-9)) / ROW_NORM
            )
        bias = stored["bias"] * scale
        if layer is layers[-1] and offset is not None:
            bias = bias - offset
        _write_layer(module, taps / output_units, bias / output_units, spec.kernel)
        units = output_units
    return units


def _write_layer(module: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, taps: Tensor, bias: Tensor, kernel: int) -> None:
    """Write taps [k * k, I, O], in the order in which freezing reads them, and a bias into a layer."""
    if isinstance(module, nn.Linear):
        module.weight.copy_(taps[0].T)
    elif isinstance(module, nn.ConvTranspose2d):
        module.weight.copy_(taps.unflatten(0, (kernel, kernel)).permute(2, 3, 0, 1))
    else:
        module.weight.copy_(taps.unflatten(0, (kernel, kernel)).permute(3, 2, 0, 1))
    if module.bias is not None:
        module.bias.copy_(bias)


def fit_prior(prior: FactorizedPrior, frozen: FrozenEntropy) -> None:
    """Fit a prior's density to frozen tables, so that symbols that follow these cost the fewest bits."""
    tables = frozen.z_models.tables
    rows: Sequence[Tensor] = [torch.from_numpy(tables.table(i)[:-1].astype("float64")) for i in range(len(tables))]
    low = int(tables.lows.min())
    high = max(int(start) + len(row) for start, row in zip(tables.lows, rows, strict=True))
    target = torch.zeros(len(rows), high - low, dtype=torch.float64)
    for i, (start, row) in enumerate(zip(tables.lows, rows, strict=True)):
        target[i, int(start) - low : int(start) - low + len(row)] = row / row.sum()
    # Symbols that hardly ever occur need no fitting.
    used = (target > 1e-6).any(dim=0).nonzero()
    first, stop = int(used.min()), int(used.max()) + 1
    target = target[:, first:stop].float()
    medians = (frozen.medians / Z_UNIT).float()
    with torch.no_grad():
        prior.quantiles[:, 0] = medians[:, None] + torch.tensor([-10.0, 0.0, 10.0])
    symbols = torch.arange(low + first, low + stop).float()
    values = (symbols[None, :] + medians[:, None])[None, :, :, None]
    learned = [p for p in prior.parameters() if p is not prior.quantiles]
    optimizer = torch.optim.Adam(learned, fused=True)
    with torch.enable_grad():
        for step in range(FIT_STEPS):
            optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / FIT_STEPS)
            optimizer.zero_grad()
            mass = prior.likelihood(values)[0, :, :, 0]
            (-(target * mass.log()).sum()).backward()
            optimizer.step()
    optimizer.zero_grad()
