"""The loss: bpp + lambda * 255^2 * MSE, and, where they are asked for, structural, perceptual and image-text terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.models.model import Forward
from tacit.models.prior import FactorizedPrior
from tacit.training.config import LossConfig
from tacit.training.joint import Gather, JointLoss
from tacit.training.structure import structure

WEIGHT_LOW, WEIGHT_HIGH = 0.0004, 0.07  # lambda at quality 0 and 100 of tacit-s
TAIL = 1e-9  # of the factorised prior, beyond each of its outer quantiles

Distance = Callable[[Tensor, Tensor], Tensor]
"""Images x_hat and x [B, 3, H, W] in [0, 1] -> their distance [B]."""


def rate_weight(quality: Tensor, low: float = WEIGHT_LOW, high: float = WEIGHT_HIGH) -> Tensor:
    """Lambda at a quality 0..100: log-linear, so that equal steps of quality are equal steps of log lambda."""
    return torch.exp(math.log(low) + quality / 100 * math.log(high / low))


@dataclass(frozen=True)
class Terms:
    """loss: what is minimised; values: what a log shows, each a mean over the batch."""

    loss: Tensor
    values: dict[str, Tensor]


class Loss:
    """All terms of a run. distance and joint: their networks, None where the weight is 0."""

    def __init__(self, config: LossConfig, distance: Distance | None = None, joint: JointLoss | None = None) -> None:
        self.config, self.distance, self.joint = config, distance, joint

    def __call__(
        self, out: Forward, x: Tensor, quality: Tensor, captions: Sequence[str | None], gather: Gather
    ) -> Terms:
        """x [B, 3, H, W] in [0, 1], quality [B] or a map of it [B, H/16, W/16]; gather: see `JointLoss`."""
        c = self.config
        bpp = (out.y_bits + out.z_bits) / (x.shape[2] * x.shape[3])
        error = (out.x_hat - x).square().mean(dim=1)
        mse = error.mean(dim=(1, 2))
        weight = rate_weight(quality, c.lambda_low, c.lambda_high)
        psnr = -10 * mse.detach().clamp_min(1e-9).log10()
        values = {"bpp": bpp.detach().mean(), "psnr": psnr.mean()}
        distortion = c.mse * 255**2 * F.avg_pool2d(error, 16) if weight.ndim == 3 else c.mse * 255**2 * mse
        if c.structure:
            unlike = structure(out.x_hat, x)
            values["structure"] = unlike.detach().mean()
            like_error = F.avg_pool2d(unlike, 2) if weight.ndim == 3 else unlike.mean(dim=(1, 2))
            distortion = distortion + c.structure * like_error
        each = c.rate * bpp
        if weight.ndim == 3:
            each = each + (weight * distortion).mean(dim=(1, 2))
            weight = weight.log().mean(dim=(1, 2)).exp()
        else:
            each = each + weight * distortion
        middle = math.sqrt(c.lambda_low * c.lambda_high)
        if self.distance is not None:
            distance = self.distance(out.x_hat, x)
            each = each + c.perceptual * (weight / middle) ** c.perceptual_growth * distance
            values["perceptual"] = distance.detach().mean()
        # the loss grows about as lambda^0.5: weighed down, low rates count as much as high ones
        loss = (each * (weight / middle) ** -c.balance).mean()
        if self.joint is not None:
            joint = self.joint(out.x_hat, x, captions, gather)
            loss = loss + c.joint * joint
            values["joint"] = joint.detach()
        return Terms(loss, {"loss": loss.detach(), **values})


def quantile_loss(prior: FactorizedPrior) -> Tensor:
    """How far the prior's quantiles are from where its density has them: the median, and a tail on either side.

    Its gradient reaches the quantiles only. Source: Balle et al., ICLR 2018, as CompressAI trains it.
    """
    edge = math.log(2 / TAIL - 1)
    wanted = torch.tensor([-edge, 0.0, edge], device=prior.quantiles.device)
    return (prior.logits(prior.quantiles, learn=False) - wanted).abs().sum()
