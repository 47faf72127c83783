"""The loss: bits per pixel and the MSE, and on request structural, perceptual and image-text terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tacit.models.float_model import Forward
from tacit.models.prior import FactorizedPrior
from tacit.training.clip_loss import ClipLoss, Gather
from tacit.training.config import LossConfig

TAIL = 1e-9  # mass of the factorised prior beyond each of its outer quantiles
PART_WEIGHT = 0.35  # of an image that is decoded in part; the loss of a whole one is about 0.8

Distance = Callable[[Tensor, Tensor], Tensor]
"""Takes reconstructions and images [B, 3, H, W] in [0, 1], and returns their distances [B]."""


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

    def to(self, device: torch.device) -> None:
        """Move the terms' networks to a device: they do not learn, and so are no part of a module."""
        if self.joint is not None:
            self.joint.to(device)
        if isinstance(self.distance, torch.nn.Module):
            self.distance.to(device)

    def __call__(
        self,
        out: Forward,
        x: Tensor,
        quality: Tensor,
        captions: Sequence[str | None],
        gather: Gather,
        in_part: Tensor | None = None,
    ) -> Terms:
        """Return the loss of a batch.

        Args:
            out: What the model made of the images.
            x: The images [B, 3, H, W] in [0, 1].
            quality: Their qualities [B], or maps of these [B, H/16, W/16].
            captions: Their captions.
            gather: Collects embeddings over all processes (see `ClipLoss`).
            in_part: Which of the images are decoded in part [B]; None if none of them are.
        """
        c = self.config
        bpp = (out.y_bits + out.z_bits) / (x.shape[2] * x.shape[3])
        weight = c.distortion.weight(quality)
        mse = (out.x_hat.detach().float() - x).square().mean(dim=(1, 2, 3))
        values = {"bpp": bpp.detach().mean(), "psnr": (-10 * mse.clamp_min(1e-9).log10()).mean()}
        distortion, terms = c.distortion(out.x_hat, x, quality)
        values |= {name: term.detach().mean() for name, term in terms.items()}
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
        each = each * (weight / middle) ** -c.balance
        if in_part is not None:  # what is not decoded makes the loss many times larger: its relative change counts
            each = torch.where(in_part, PART_WEIGHT * each / each.detach(), each)
        loss = each.mean()
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


def quantile_loss(prior: FactorizedPrior) -> Tensor:
    """Return how far the prior's quantiles are from the median and the two tails of its density.

    Its gradient reaches the quantiles only. Source: Balle et al., ICLR 2018, as CompressAI trains it.
    """
    edge = math.log(2 / TAIL - 1)
    targets = torch.tensor([-edge, 0.0, edge], device=prior.quantiles.device)
    return (prior.logits(prior.quantiles, learn=False) - targets).abs().sum()
