"""The loss: bits per pixel and the MSE, and on request structural, perceptual and image-text terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.models.float_model import Forward
from tacit.models.layers import interpolate
from tacit.models.prior import FactorizedPrior
from tacit.training.clip_loss import ClipLoss, Gather
from tacit.training.config import LossConfig
from tacit.training.ssim_loss import structural_dissimilarity

WEIGHT_LOW, WEIGHT_HIGH = 0.0004, 0.07  # lambda at quality 0 and 100 of tacit-s
PLACE = 16  # pixels a side of what a map of the quality has a value for
TAIL = 1e-9  # mass of the factorised prior beyond each of its outer quantiles

Distance = Callable[[Tensor, Tensor], Tensor]
"""Takes reconstructions and images [B, 3, H, W] in [0, 1], and returns their distances [B]."""

DISTORTIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"structure": lambda x_hat, x: F.avg_pool2d(structural_dissimilarity(x_hat, x), 2)}
)
"""What is added to the errors, by the field of `LossConfig` that is its weight.

Each takes reconstructions and images [B, 3, H, W] in [0, 1], and returns a map [B, H/16, W/16], so that each place has
the lambda of its quality.
"""


def rate_weight(quality: Tensor, low: float = WEIGHT_LOW, high: float = WEIGHT_HIGH) -> Tensor:
    """Return lambda at qualities 0 to 100: log-linear, so that equal steps of quality are equal steps of log lambda."""
    return torch.exp(math.log(low) + quality / 100 * math.log(high / low))


@dataclass(frozen=True)
class Terms:
    """The loss of a batch and its terms."""

    loss: Tensor
    """What is minimised."""

    values: dict[str, Tensor]
    """What a log shows: means over the batch, without gradients."""


class Loss:
    """All terms of a run.

    Args:
        config: The terms' weights.
        distance: The perceptual distance; None where its weight is 0.
        joint: The joint image-text loss; None where its weight is 0.
    """

    def __init__(self, config: LossConfig, distance: Distance | None = None, joint: ClipLoss | None = None) -> None:
        self.config, self.distance, self.joint = config, distance, joint

    def __call__(
        self, out: Forward, x: Tensor, quality: Tensor, captions: Sequence[str | None], gather: Gather
    ) -> Terms:
        """Return the loss of a batch.

        Args:
            out: What the model made of the images.
            x: The images [B, 3, H, W] in [0, 1].
            quality: Their qualities [B], or maps of these [B, H/16, W/16].
            captions: Their captions.
            gather: Collects embeddings over all processes (see `ClipLoss`).
        """
        c = self.config
        bpp = (out.y_bits + out.z_bits) / (x.shape[2] * x.shape[3])
        error = out.x_hat.float() - x
        weight = rate_weight(quality, c.lambda_low, c.lambda_high)
        mse = error.detach().square().mean(dim=(1, 2, 3))
        values = {"bpp": bpp.detach().mean(), "psnr": (-10 * mse.clamp_min(1e-9).log10()).mean()}
        distortion = 255**2 * squared_error(error, (c.mse, *c.coarse))
        for name, term in DISTORTIONS.items():
            if getattr(c, name):
                unlike = term(out.x_hat, x)
                values[name] = unlike.detach().mean()
                distortion = distortion + getattr(c, name) * unlike
        if c.shares != (1, 1, 1):
            part = interpolate(torch.tensor(c.shares, device=quality.device)[:, None], quality)[:, 0]
            distortion = part * distortion + (1 - part) * 255**2 * squared_error(error, (1.0,))
        if weight.ndim == 1:
            each = c.rate * bpp + weight * distortion.mean(dim=(1, 2))
        else:
            each = c.rate * bpp + (weight * distortion).mean(dim=(1, 2))
            weight = weight.log().mean(dim=(1, 2)).exp()
        middle = math.sqrt(c.lambda_low * c.lambda_high)
        if self.distance is not None:
            distance = self.distance(out.x_hat, x)
            each = each + c.perceptual * (weight / middle) ** c.perceptual_growth * distance
            values["perceptual"] = distance.detach().mean()
        # The loss grows about as lambda^0.5; divided by a power of lambda, low rates count as much as high ones.
        loss = (each * (weight / middle) ** -c.balance).mean()
        if self.joint is not None:
            joint = self.joint(out.x_hat, x, captions, gather)
            loss = loss + c.joint * joint
            values["joint"] = joint.detach()
        return Terms(loss, {"loss": loss.detach(), **values})


def build_loss(config: LossConfig) -> Loss:
    """Build the terms that have a weight, and load their networks.

    Raises:
        MissingExtra: A network's packages are not installed.
        MissingWeights: A network's weights are not on this machine.
        CorruptWeights: A network's weights are damaged.
    """
    joint = ClipLoss(config.clip, config.beta, published=config.published_joint) if config.joint else None
    return Loss(config, load_distance(config) if config.perceptual else None, joint)


def load_distance(config: LossConfig) -> Distance:
    """Load the perceptual distance that a configuration names.

    Raises:
        MissingWeights: The network's weights are not on this machine.
        CorruptWeights: The network's weights are damaged.
    """
    from tacit.pretrained.feature_distance import load_feature_distance
    from tacit.pretrained.lpips import load_lpips

    backbone, heads = config.perceptual_backbone or None, config.perceptual_heads or None
    if config.perceptual_net == "features":
        return load_feature_distance(backbone)
    network: Any = config.perceptual_net
    scale: Any = config.perceptual_scale
    return load_lpips(network, scale=scale, backbone=backbone, heads=heads)


def squared_error(error: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the error's mean squares over 16x16 pixels, at several scales, weighted and added up.

    Rate that is spent where it lowers the MSE most leaves an error that is the same at all frequencies; low ones, where
    most images have most of theirs, are what the eye sees first.

    Args:
        error: [B, 3, H, W]; H and W are multiples of 16.
        weights: Weights of the mean square of the error itself, and of its means over 2x2, 4x4, 8x8 and 16x16 pixels;
            later ones may be absent.

    Returns:
        [B, H/16, W/16].
    """
    total = error.new_zeros(error.shape[0], error.shape[2] // PLACE, error.shape[3] // PLACE)
    for halvings, weight in enumerate(weights):
        if halvings:
            error = F.avg_pool2d(error, 2)
        if weight:
            total = total + weight * F.avg_pool2d(error.square().mean(dim=1), PLACE >> halvings)
    return total


def quantile_loss(prior: FactorizedPrior) -> Tensor:
    """Return how far the prior's quantiles are from the median and the two tails of its density.

    Its gradient reaches the quantiles only. Source: Balle et al., ICLR 2018, as CompressAI trains it.
    """
    edge = math.log(2 / TAIL - 1)
    targets = torch.tensor([-edge, 0.0, edge], device=prior.quantiles.device)
    return (prior.logits(prior.quantiles, learn=False) - targets).abs().sum()
