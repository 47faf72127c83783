"""How unlike an image its reconstruction is, as training weighs it against bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.errors import CorruptWeights
from tacit.models.ssim_loss import structural_dissimilarity

WEIGHT_LOW, WEIGHT_HIGH = 0.0004, 0.07  # lambda at quality 0 and 100 of tacit-s
PLACE = 16  # pixels a side of what a map of the quality has a value for

DISTORTIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"structure": lambda x_hat, x: F.avg_pool2d(structural_dissimilarity(x_hat, x), 2)}
)
"""What is added to the errors, by the field of `Distortion` that is its weight.

Each takes reconstructions and images [B, 3, H, W] in [0, 1], and returns a map [B, H/16, W/16], so that each place has
the lambda of its quality.
"""


def rate_weight(quality: Tensor, low: float = WEIGHT_LOW, high: float = WEIGHT_HIGH) -> Tensor:
    """Return lambda at qualities 0 to 100: log-linear, so that equal steps of quality are equal steps of log lambda."""
    return torch.exp(math.log(low) + quality / 100 * math.log(high / low))


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """The weights of what a model's loss counts as distortion; by default it is the mean squared error."""

    mse: float = 1.0
    """Weight of the error's mean square."""
    coarse: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Weights of the mean squares of the error's means over 2x2, 4x4, 8x8 and 16x16 pixels."""
    structure: float = 0.0
    """Weight of 1 - MS-SSIM."""
    shares: tuple[float, ...] = (1.0, 1.0, 1.0)
    """How much of the distortion the terms above are at quality 0, 50 and 100; the plain MSE is the rest."""
    lambda_low: float = WEIGHT_LOW
    """Lambda at quality 0."""
    lambda_high: float = WEIGHT_HIGH
    """Lambda at quality 100."""

    @staticmethod
    def of(card: Mapping[str, Any]) -> Distortion:
        """Return the distortion that a training card states under `distortion`; the MSE if it states none.

        Raises:
            CorruptWeights: What it states is no distortion.
        """
        stated = card.get("distortion", {})
        try:
            values = {name: tuple(map(float, v)) if isinstance(v, list) else float(v) for name, v in stated.items()}
            return Distortion(**values)  # type: ignore[arg-type]
        except (AttributeError, TypeError, ValueError) as error:
            raise CorruptWeights(f"training card: distortion must name weights of terms, got {stated!r}") from error

    def as_dict(self) -> dict[str, Any]:
        """Return what a training card has under `distortion`, as JSON has it."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    def weight(self, quality: Tensor) -> Tensor:
        """Return lambda at qualities 0 to 100, by which a distortion is multiplied to count in bits per pixel."""
        return rate_weight(quality, self.lambda_low, self.lambda_high)

    def __call__(self, x_hat: Tensor, x: Tensor, quality: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a map of the distortion [B, H/16, W/16], and its terms beside the errors by name, not weighted.

        Args:
            x_hat: Reconstructions [B, 3, H, W], about [0, 1]; H and W are multiples of 16.
            x: Images of the same shape, in [0, 1].
            quality: [B] in 0..100, or a map of it [B, H/16, W/16].
        """
        error = x_hat.float() - x
        total = 255**2 * squared_error(error, (self.mse, *self.coarse))
        terms: dict[str, Tensor] = {}
        for name, term in DISTORTIONS.items():
            if getattr(self, name):
                terms[name] = term(x_hat, x)
                total = total + getattr(self, name) * terms[name]
        if tuple(self.shares) != (1, 1, 1):
            part = _between(self.shares, quality if quality.ndim == 3 else quality[:, None, None])
            total = part * total + (1 - part) * 255**2 * squared_error(error, (1.0,))
        return total, terms


def _between(values: Sequence[float], quality: Tensor) -> Tensor:
    """Interpolate values at evenly spaced qualities from 0 to 100, without a tensor of them, which a CPU would make."""
    position = quality.clamp(0, 100) * ((len(values) - 1) / 100)
    result = torch.full_like(position, values[0])
    for number, (low, high) in enumerate(pairwise(values)):
        result = result + (high - low) * (position - number).clamp(0, 1)
    return result


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
