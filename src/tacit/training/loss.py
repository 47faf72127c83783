"""The loss: bpp + lambda * 255^2 * MSE, and, where they are asked for, structural, perceptual and image-text terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.models.float_model import Forward
from tacit.models.layers import interpolate
from tacit.models.prior import FactorizedPrior
from tacit.training.clip_loss import ClipLoss, Gather
from tacit.training.config import LossConfig
from tacit.training.ssim_loss import structure

WEIGHT_LOW, WEIGHT_HIGH = 0.0004, 0.07  # lambda at quality 0 and 100 of tacit-s
PLACE = 16  # pixels a side of what a map of the quality has a value for
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

    def __init__(self, config: LossConfig, distance: Distance | None = None, joint: ClipLoss | None = None) -> None:
        self.config, self.distance, self.joint = config, distance, joint

    def __call__(
        self, out: Forward, x: Tensor, quality: Tensor, captions: Sequence[str | None], gather: Gather
    ) -> Terms:
        """x [B, 3, H, W] in [0, 1], quality [B] or a map of it [B, H/16, W/16]; gather: see `ClipLoss`."""
        c = self.config
        bpp = (out.y_bits + out.z_bits) / (x.shape[2] * x.shape[3])
        error = out.x_hat.float() - x
        weight = rate_weight(quality, c.lambda_low, c.lambda_high)
        mse = error.detach().square().mean(dim=(1, 2, 3))
        values = {"bpp": bpp.detach().mean(), "psnr": (-10 * mse.clamp_min(1e-9).log10()).mean()}
        distortion = 255**2 * squared_error(error, (c.mse, *c.coarse))
        if c.structure:
            unlike = structure(out.x_hat, x)
            values["structure"] = unlike.detach().mean()
            distortion = distortion + c.structure * F.avg_pool2d(unlike, 2)
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
        # the loss grows about as lambda^0.5: weighed down, low rates count as much as high ones
        loss = (each * (weight / middle) ** -c.balance).mean()
        if self.joint is not None:
            joint = self.joint(out.x_hat, x, captions, gather)
            loss = loss + c.joint * joint
            values["joint"] = joint.detach()
        return Terms(loss, {"loss": loss.detach(), **values})


def squared_error(error: Tensor, weights: Sequence[float]) -> Tensor:
    """error: [B, 3, H, W], H and W multiples of 16 -> [B, H/16, W/16], in 16x16 pixels each the mean square of the
    error, of its means over 2x2 pixels, over 4x4, 8x8 and 16x16, by as many weights as are given, added up.

    Rate that is spent where it lowers the MSE most leaves an error that is the same at all frequencies; low ones, where
    most pictures have most of theirs, are what the eye sees first.
    """
    total = error.new_zeros(error.shape[0], error.shape[2] // PLACE, error.shape[3] // PLACE)
    for halvings, weight in enumerate(weights):
        if halvings:
            error = F.avg_pool2d(error, 2)
        if weight:
            total = total + weight * F.avg_pool2d(error.square().mean(dim=1), PLACE >> halvings)
    return total


def quantile_loss(prior: FactorizedPrior) -> Tensor:
    """How far the prior's quantiles are from where its density has them: the median, and a tail on either side.

    Its gradient reaches the quantiles only. Source: Balle et al., ICLR 2018, as CompressAI trains it.
    """
    edge = math.log(2 / TAIL - 1)
    wanted = torch.tensor([-edge, 0.0, edge], device=prior.quantiles.device)
    return (prior.logits(prior.quantiles, learn=False) - wanted).abs().sum()
