"""A start as a good linear transform codec: the principal components of 16x16 patches, written into a model.

This was found by experiment (docs/training-log.md): within minutes, a model that starts as the Karhunen-Loeve transform
of images is ahead of the final loss of the same model from a random start, and it does not stall at high rates.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.models.distortion import rate_weight
from tacit.models.float_model import FloatModel
from tacit.models.tacit_s import INDEX_SLOPE, INDEX_START, TacitSModel


def principal_components(crops: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the principal components of the crops' 16x16 patches.

    Args:
        crops: [N, 3, H, W] uint8; H and W are multiples of 16.
        count: How many components to return.

    Returns:
        The patches' mean [768], the components [count, 768] in the channel order of two pixel-unshuffles (8, then 2),
        and their variances [count], largest first.
    """
    total = torch.zeros(768, dtype=torch.float64)
    square = torch.zeros(768, 768, dtype=torch.float64)
    number = 0
    for part in crops.split(64):
        x = F.pixel_unshuffle(F.pixel_unshuffle(part.float() / 127.5 - 1, 8), 2)
        rows = x.permute(0, 2, 3, 1).reshape(-1, 768)
        total += rows.sum(0).double()
        square += (rows.T @ rows).double()
        number += rows.shape[0]
    mean = total / number
    covariance = square / number - torch.outer(mean, mean)
    variances, vectors = np.linalg.eigh(covariance.numpy())
    order = np.argsort(variances)[::-1][:count].copy()
    components = torch.from_numpy(vectors[:, order].T.copy())
    # A fixed sign, so that the start does not depend on the linear algebra library.
    components *= torch.where(components.sum(1, keepdim=True) < 0, -1.0, 1.0)
    return mean.float(), components.float(), torch.from_numpy(variances[order].copy()).float()


@torch.no_grad()
def start_as_klt(float_model: FloatModel, crops: Tensor) -> None:
    """Write the components into the analysis and, transposed, the synthesis, and set the gains that lambda asks for.

    Args:
        float_model: A model of an architecture with `klt_start`, which is changed.
        crops: [N, 3, H, W] uint8; H and W are multiples of 16.
    """
    model = cast(TacitSModel, float_model)
    c = model.config
    mean, components, variances = principal_components(crops, c.latent)
    model.analysis.project.weight.copy_(components[:, :, None, None])
    model.analysis.project.bias.copy_(-components @ mean)  # type: ignore[union-attr]
    model.synthesis.project.weight.copy_(components.T[:, :, None, None])
    model.synthesis.project.bias.copy_(mean)  # type: ignore[union-attr]
    quality = torch.linspace(0, 100, c.knots)
    # Uniform quantisation of step d costs d^2/12 and -log2 d bits: with lambda * 255^2 * MSE over three colours the
    # best d^2 is 6 / (ln 2 * lambda * 255^2 / 3), on a [0, 1] scale; the transform sees [-1, 1].
    step = (6 / (math.log(2) * rate_weight(quality) * 255**2 / 3)).sqrt() * 2
    model.gain.log_gain.copy_((1 / step).log()[:, None].expand(-1, c.latent))
    model.inverse_gain.log_gain.copy_(step.log()[:, None].expand(-1, c.latent))
    middle = step[c.knots // 2]
    model.context_scale.copy_(1 / (variances.sqrt() / middle + 0.25))
    # Scales start near what each component needs; the bias of the last layer carries it.
    start = 0
    for group, channels in enumerate(c.groups):
        sigma = (variances[start : start + channels].sqrt() / middle).clamp_min(c.scale_min)
        raw = ((sigma / c.scale_min).log() / model.scale_step() - INDEX_START) / INDEX_SLOPE
        for nets in (model.entropy.parameters_anchor, model.entropy.parameters_other):
            nets[group][-1].bias[:channels] = raw  # type: ignore[index]
        start += channels
