"""Refinement: latents of one image that are better than the analysis makes them.

The loss is what the model was trained for, bits plus lambda times the distortion, of this image alone. The latents of
each step are those of a real file: integers, chosen by the bits that they take and by their distance from targets
(`tacit.models.rdo_quantization`). The loss's gradient at these integers then moves the targets. Around its least the
distortion of a trained model rises alike in every direction, so one number, `CURVATURE`, turns a gradient into the
place where the distortion is least, and few steps suffice. Decoders and files know nothing of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.entropy.units import LATENT_STEP
from tacit.errors import InvalidInput
from tacit.models.coding import CodingModel, Quality
from tacit.models.distortion import Distortion
from tacit.models.rdo_quantization import RdoEntropy
from tacit.models.ssim_loss import SMALLEST

Progress = Callable[[float], None]
"""Called with the part of a refinement that is done, up to 1."""

HALO = 3  # latents around a region that its refinement sees, so that no seam shows

ASTRAY = 1.5
"""How much larger than an image's least loss so far its loss may become."""

CURVATURE = 12 / math.log(2)
"""The second derivative of the loss in bits with respect to a latent in steps, but for the latent's own bits.

A model that is trained for bits plus lambda times the distortion scales its latents until a finer quantisation costs as
many bits as it saves distortion: -log2(s) + CURVATURE * s^2 / 24 is least at s = 1.
"""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a refinement goes on from step to step."""

    steps: int
    """Steps, each of which has one gradient."""
    emphasis: float = 1.3
    """What the distortion counts, by what it counts in training. Rounding by cost takes distortion for bits; with more
    than 1, a refined file has about the distortion that it has without refinement, and fewer bits. At equal distortion,
    too, that saves more."""
    rounding: float = 1.0
    """The curvature by which integers are chosen, by the loss's."""
    rate: float = 0.7
    """The part of the way to where the distortion seems least that targets move in the first step. It falls to none
    with the steps, in a straight line: what is left of large rates is noise, which falls within a few small ones."""
    hyper_reach: float = 0.12
    """How far hyper-latents move in all steps together, at most about, in steps of the quantisation. Where many move
    as far as another integer, what they predict is wrong everywhere at once."""
    hyper_share: float = 0.6
    """The share of the steps in which hyper-latents move; afterwards latents settle on what they predict."""

    @property
    def curvature(self) -> float:
        """The second derivative of the loss, in which the distortion counts for more."""
        return self.emphasis * CURVATURE


SCHEDULES = {
    1: Schedule(steps=2),
    2: Schedule(steps=3),
    3: Schedule(steps=4),
    4: Schedule(steps=6),
    5: Schedule(steps=10),
    6: Schedule(steps=16),
    7: Schedule(steps=24),
    8: Schedule(steps=40),
    9: Schedule(steps=100),
}
"""What the levels of effort from 1 on do. Level 0 refines nothing."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Regions of equal shape, with what their refinement sees."""

    x: Tensor
    """Their pixels, and those around them, in [0, 1] [B, 3, 16 h, 16 w]."""
    y: Tensor
    """Latents of these pixels before the gain [B, M, h, w]."""
    quality: Quality
    """The quality of these latents."""
    rows: slice
    """The rows of the latents that are refined."""
    columns: slice
    """The columns of the latents that are refined."""
    real: Tensor
    """Which pixels are of the image, and no padding [B, 1, 16 h, 16 w]."""
    color: bool = True
    """Whether the images have colours; grey ones are decoded to the mean of the channels."""

    @property
    def region_quality(self) -> Quality:
        """The quality of the latents that are refined."""
        if isinstance(self.quality, Tensor) and self.quality.ndim == 3:
            return self.quality[:, self.rows, self.columns]
        return self.quality


@dataclass(frozen=True)
class Refinement:
    """What a refinement has made of latents."""

    y: Tensor
    """Latents after the gain, not rounded [B, M, h, w]."""
    z: Tensor
    """Their hyper-latents, not rounded [B, Z, hz, wz]."""
    ended_early: bool = False
    """Whether time was over before the last step."""


class Refiner:
    """Refines the latents of regions with one model.

    Args:
        model: The model that encodes.
        distortion: What its loss counts as distortion.
        effort: The level, 1 to 9.

    Raises:
        InvalidInput: The model's latents cannot be refined.
    """

    def __init__(self, model: CodingModel, distortion: Distortion, effort: int) -> None:
        if not model.variable_rate or model.entropy.thresholds is not None:
            raise InvalidInput(f"these weights' latents cannot be refined: effort must be 0, got {effort}")
        self.schedule = SCHEDULES[effort]
        self._model, self._distortion = model, distortion

    @cached_property
    def _entropy(self) -> RdoEntropy:
        return RdoEntropy(self._model.entropy, self._model.float_model.scale_table())

    def __call__(self, window: Window, progress: Progress | None = None, end: float | None = None) -> Refinement:
        """Return the regions' latents, refined.

        No image's loss is larger than it was before. Where it has no end, the result is the same every time on one
        machine.

        Args:
            window: The regions.
            progress: Told how far the refinement is; what it raises ends the refinement.
            end: When it should be over, by `time.monotonic`; None for when all steps are done.
        """
        s = self.schedule
        halo, _ = self._model.scaled(window.y, window.quality)
        y, z = self._model.scaled(window.y[:, :, window.rows, window.columns], window.region_quality)
        halo, y, z = (one.clone() for one in (halo, y, z))  # from inference mode to autograd
        hundredths = self._model.hundredths(window.region_quality)
        targets, moving = y, z.clone().requires_grad_()
        # an epsilon as large as small gradients leaves hyper-latents alone that make little difference
        hyper_steps = math.ceil(s.hyper_share * s.steps)
        optimizer = torch.optim.Adam([moving], lr=s.hyper_reach / hyper_steps, betas=(0.8, 0.95), eps=0.1)
        least: Tensor | None = None
        least_targets = targets  # those of the least loss
        ease = torch.ones_like(y[:, :1, :1, :1])  # by what an image's rate is smaller
        longest = 0.0  # seconds of a step
        for step in range(s.steps + 1):
            began = time.monotonic()
            if end is not None and began + longest > end:
                return Refinement(y, z, ended_early=True)
            moved = torch.zeros_like(y).requires_grad_(step < s.steps)
            with torch.set_grad_enabled(step < s.steps):
                curvature = s.rounding * s.curvature if step else 0.0
                decoded, bits = self._entropy(targets, moved, moving, hundredths, curvature)
                loss = bits + s.emphasis * self._distortion_bits(window, halo, decoded)
            if least is None:
                least = loss.detach()
            better, astray = (one[:, None, None, None] for one in (loss < least, ~(loss <= ASTRAY * least)))
            least = torch.fmin(least, loss.detach())
            y, z = torch.where(better, decoded.detach(), y), torch.where(better, moving.detach(), z)
            least_targets = torch.where(better, targets, least_targets)
            if step < s.steps:
                gradient, moving.grad = torch.autograd.grad(loss.sum(), (moved, moving))
                rate = ease * s.rate * (1 - step / s.steps)
                targets = targets + rate * (decoded.detach() - gradient / s.curvature - targets)
                if step < hyper_steps:
                    optimizer.step()
                # Targets of some images run away within a few steps of a high rate. Such an image goes back, and on
                # from there at half the rate.
                targets, ease = torch.where(astray, least_targets, targets), torch.where(astray, ease / 2, ease)
                with torch.no_grad():
                    moving.copy_(torch.where(astray, z, moving))
            if progress is not None:
                progress((step + 1) / (s.steps + 1))
            longest = max(longest, time.monotonic() - began)
        return Refinement(y, z)

    def _distortion_bits(self, window: Window, halo: Tensor, decoded: Tensor) -> Tensor:
        """Return the distortion of each image, in bits [B], with these latents of its region."""
        model = self._model
        if decoded.shape != halo.shape:
            whole = halo.clone()
            whole[:, :, window.rows, window.columns] = decoded
            decoded = whole
        x_hat = model.reconstruct(decoded, window.quality).clamp(0, 1)
        if not window.color:
            x_hat = x_hat.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        x = window.x
        x_hat = torch.where(window.real, x_hat, x)
        quality = _as_map(window.quality, decoded)
        # what is too small for the coarsest scale of MS-SSIM is seen on a larger ground without errors
        down, across = (max(0, -(-SMALLEST // LATENT_STEP) * LATENT_STEP - side) for side in x.shape[2:])
        if (down or across) and self._distortion.structure:
            x_hat, x = (F.pad(one, (0, across, 0, down)) for one in (x_hat, x))
            more = (0, across // LATENT_STEP, 0, down // LATENT_STEP)
            quality = F.pad(quality, more, mode="replicate")
        unlike, _ = self._distortion(x_hat, x, quality)
        total: Tensor = LATENT_STEP**2 * (self._distortion.weight(quality) * unlike).sum(dim=(1, 2))
        return total


def _as_map(quality: Quality, y: Tensor) -> Tensor:
    """Return the quality of each latent [B, h, w]."""
    if not isinstance(quality, Tensor):
        return torch.full_like(y[:, 0], float(quality or 0))
    quality = quality.to(y.device)
    return quality if quality.ndim == 3 else quality[:, None, None].expand(-1, *y.shape[2:])
