"""Small models with random but seeded weights, frozen as real ones are.

They have non-zero weights on every path, so that each of them changes a file; the small tacit-s has a cosine transform
at its heart, so that what it decodes looks like what it was given.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from support.pictures import samples
from tacit import weights
from tacit.models.attention import Injector
from tacit.models.freezing import freeze_entropy
from tacit.models.tacit_s import TacitSModel
from tacit.models.tacit_s_config import TacitSConfig
from tacit.models.taco import TacoConfig, TacoModel
from tacit.text.tokens import TextTokens

LONG = " ".join(f"a {colour} boat beside a {colour} house," for colour in ("red", "blue", "green", "white") * 4)
LINEAR = {"attention": "linear", "linear_length": 8}


TINY = TacitSConfig(
    latent=48,
    groups=(16, 16, 16),
    analysis8=2,
    analysis16=1,
    synthesis16=1,
    synthesis8=2,
    hyper=8,
    hyper_width=16,
    features=16,
    context=12,
    hidden=(24, 16),
    knots=3,
)


TINY_TACO = TacoConfig(width=12, latent=12, groups=(4, 8), knots=3, text_encoder="embedded", text_width=256, heads=4)


TINY_TACO_FIXED = TacoConfig(width=12, latent=12, groups=(4, 8), text_encoder="embedded", text_width=256, heads=4)


def _disturb(net: nn.Module, size: float) -> None:
    """Noise on every parameter that begins at zero, so that no path is shut."""
    for parameter in net.parameters():
        if not parameter.any():
            parameter.normal_(0, size)


def _cosines(latent: int) -> Tensor:
    """[latent, 768]: the lowest of a 16x16 cosine transform's patches for each colour, as 1x1 weights behind the
    unshuffles by 8 and by 2; the rows are orthonormal."""
    n = torch.arange(16)
    basis = torch.stack([torch.cos(math.pi * (n + 0.5) * k / 16) for k in range(16)])
    basis /= basis.norm(dim=1, keepdim=True)
    order = sorted(((i, j) for i in range(16) for j in range(16)), key=lambda ij: (sum(ij), ij))
    patches = torch.zeros(latent, 3, 16, 16)
    for channel in range(latent):
        i, j = order[channel // 3]
        patches[channel, channel % 3] = basis[i][:, None] * basis[j]
    return F.pixel_unshuffle(F.pixel_unshuffle(patches, 8), 2).flatten(1)


@torch.no_grad()
def tiny_model(config: TacitSConfig = TINY, *, uneven: bool = False) -> TacitSModel:
    """tacit-s in small.

    uneven: with predicted scales from wide, at the low frequencies, to so narrow that nothing is coded, and medians of
    z that are no whole numbers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = TacitSModel(config)
        _disturb(model.analysis, 0.003)
        for injector in (model.analysis.inject8, model.analysis.inject16):
            injector.gamma.normal_(0, 0.1)
        _disturb(model.synthesis, 0.003)
        transform = _cosines(config.latent)
        model.analysis.project.weight.copy_(transform[:, :, None, None])
        model.synthesis.project.weight.copy_(transform.T[:, :, None, None])
        gains = torch.linspace(math.log(0.5), math.log(10), config.knots)[:, None].expand(-1, config.latent)
        model.gain.log_gain.copy_(gains)
        model.inverse_gain.log_gain.copy_(-gains)
        last: Any = model.hyper_analysis[-1]
        last.weight.mul_(20)
        model.context_scale.uniform_(0.1, 0.5)
        start = 0
        for group, channels in enumerate(config.groups if uneven else ()):
            scales = torch.linspace(3.5, -5, config.latent)[start : start + channels]
            networks: Any = model.entropy
            for heads in (networks.parameters_anchor, networks.parameters_other):
                heads[group][-1].bias[:channels].add_(scales)
            start += channels
        if uneven:
            model.prior.quantiles[:, 0, 1].uniform_(-2, 2)
    return model.eval()


@torch.no_grad()
def tiny_taco(config: TacoConfig = TINY_TACO) -> TacoModel:
    """taco in small, with a variable rate or (no knots) a fixed one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = TacoModel(config)
        _disturb(model, 0.1)
        parts: Any = model
        for layer, factor in ((parts.analysis.layers[-2], 60.0), (parts.hyper_analysis[-1], 20.0)):
            layer.weight.mul_(factor)
        parts.synthesis.layers[-1].bias.fill_(0.5)
        if model.gain is not None and model.inverse_gain is not None:
            gains = torch.linspace(math.log(0.5), math.log(4), config.knots)[:, None].expand(-1, config.latent)
            model.gain.log_gain.copy_(gains)
            model.inverse_gain.log_gain.copy_(-gains)
    return model.eval()


@torch.no_grad()
def write_weights(path: Path, model: TacitSModel | TacoModel) -> Path:
    """Freeze over the synthetic pictures and save."""
    x = samples()
    quality = torch.linspace(0, 100, len(x))
    y = model.analysis(x, TextTokens.empty(len(x), model.config.text_width)).float()
    if model.gain is not None:
        y = y * model.gain(quality)
    weights.save(path, model, freeze_entropy(model, y, model.hyper_latents(y), quality), {"name": path.stem})
    return path


def deaf(model: TacitSModel | TacoModel) -> TacitSModel | TacoModel:
    """The model without what the Extractor gives, which sees a tile and not the whole."""
    if isinstance(model, TacitSModel):
        injector = model.analysis.inject16
    else:
        *_, injector = [layer for layer in model.analysis.layers if isinstance(layer, Injector)]
    injector.gamma.data.zero_()
    return model


def linear_config(config: Any, **options: Any) -> Any:
    """Return the configuration with linear attention."""
    return dataclasses.replace(config, **(LINEAR | options))
