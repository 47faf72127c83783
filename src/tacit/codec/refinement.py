"""Refinement: latents of one image that are better than the analysis makes them, found by gradient descent.

The loss is what the model was trained for, bits plus lambda times the distortion, of this image alone. Rounding is
relaxed (`tacit.models.relaxed`) and hardens from step to step. Decoders and files know nothing of it: the refined
latents are rounded and coded as any others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.codec.synthesis import stack_qualities
from tacit.entropy.units import LATENT_STEP
from tacit.errors import InvalidInput
from tacit.models.coding import CodingModel, Quality
from tacit.models.distortion import Distortion
from tacit.models.relaxed import RelaxedEntropy
from tacit.models.ssim_loss import SMALLEST

Progress = Callable[[float], None]
"""Called with the part of a refinement that is done, up to 1."""

HALO = 3  # latents around a region that its refinement sees, so that no seam shows


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a refinement goes on from step to step."""

    steps: int
    """Steps of gradient descent."""
    rate: float = 0.05
    """How far a latent moves in the first step, about, in steps of the quantisation."""
    hyper_rate: float = 0.01
    """The same for hyper-latents."""
    floor: float = 0.2
    """The part of the rates that is left in the last step."""
    hot: float = 0.5
    """The temperature of the rounding in the first step."""
    cold: float = 0.15
    """The temperature in the last step."""
    noise: float = 0.5
    """The size of the noise; 1 is stochastic Gumbel annealing, which needs many steps."""


SCHEDULES = {
    1: Schedule(steps=4, rate=0.06, noise=0.2),
    2: Schedule(steps=8, rate=0.06, noise=0.3),
    3: Schedule(steps=12, rate=0.06, noise=0.4),
    4: Schedule(steps=18),
    5: Schedule(steps=24),
    6: Schedule(steps=48),
    7: Schedule(steps=96),
    8: Schedule(steps=192, rate=0.04, noise=0.7),
    9: Schedule(steps=384, rate=0.03, noise=1.0),
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

    @staticmethod
    def stack(windows: Sequence[Window]) -> Window:
        """Return the windows of several images as one; they have one shape and one place of what is refined."""
        first = windows[0]
        height, width = first.y.shape[2:]
        return replace(
            first,
            x=torch.cat([one.x for one in windows]),
            y=torch.cat([one.y for one in windows]),
            quality=stack_qualities([one.quality for one in windows], height, width),
            real=torch.cat([one.real for one in windows]),
        )

    @property
    def region_quality(self) -> Quality:
        """The quality of the latents that are refined."""
        if isinstance(self.quality, Tensor) and self.quality.ndim == 3:
            return self.quality[:, self.rows, self.columns]
        return self.quality


class Refiner:
    """Refines the latents of regions with one model.

    Args:
        model: The model that encodes.
        distortion: What its loss counts as distortion.
        effort: The level, 1 to 9.
        progress: Told how far each refinement is; what it raises ends the refinement.

    Raises:
        InvalidInput: The model's latents cannot be refined.
    """

    def __init__(
        self, model: CodingModel, distortion: Distortion, effort: int, progress: Progress | None = None
    ) -> None:
        if not model.variable_rate or model.entropy.thresholds is not None:
            raise InvalidInput(f"these weights' latents cannot be refined: effort must be 0, got {effort}")
        self.schedule = SCHEDULES[effort]
        self._model, self._distortion, self._progress = model, distortion, progress

    @cached_property
    def _entropy(self) -> RelaxedEntropy:
        return RelaxedEntropy(self._model.entropy, self._model.float_model.scale_table())

    def __call__(self, window: Window) -> tuple[Tensor, Tensor]:
        """Return the regions' latents after the gain and their hyper-latents, refined, not rounded.

        No image's loss is larger than it was before. The result is the same every time on one machine.
        """
        s = self.schedule
        halo, _ = self._model.scaled(window.y, window.quality)
        y, z = self._model.scaled(window.y[:, :, window.rows, window.columns], window.region_quality)
        halo, first, first_z = (one.clone() for one in (halo, y, z))  # from inference mode to autograd
        generator = torch.Generator(window.x.device).manual_seed(0)
        with torch.enable_grad():
            y, z = first.clone().requires_grad_(), first_z.clone().requires_grad_()
            rates = s.rate, s.hyper_rate
            optimizer = torch.optim.Adam(
                [{"params": [one], "lr": rate} for one, rate in zip((y, z), rates, strict=True)],
                betas=(0.9, 0.99),
            )
            for step in range(s.steps):
                part = step / max(1, s.steps - 1)
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * (1 - (1 - s.floor) * part)
                noise = None
                if s.noise:
                    drawn = [torch.rand(one.shape[1:], generator=generator, device=one.device) for one in (y, z)]
                    noise = drawn[0].logit(1e-6) * s.noise, drawn[1].logit(1e-6) * s.noise
                optimizer.zero_grad(set_to_none=True)
                loss = self._loss(window, halo, y, z, s.hot * (s.cold / s.hot) ** part, noise)
                loss.sum().backward()
                optimizer.step()
                if self._progress is not None:
                    self._progress((step + 1) / (s.steps + 1))
        with torch.no_grad():
            before, after = (self._loss(window, halo, a, b, 0.0) for a, b in ((first, first_z), (y, z)))
            better = (after < before)[:, None, None, None]
            result = torch.where(better, y, first), torch.where(better, z, first_z)
        if self._progress is not None:
            self._progress(1.0)
        return result

    def _loss(
        self,
        window: Window,
        halo: Tensor,
        y: Tensor,
        z: Tensor,
        temperature: float,
        noise: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the loss of each image in bits [B]."""
        model, region_quality = self._model, window.region_quality
        decoded, bits = self._entropy(y, z, model.hundredths(region_quality), temperature, noise)
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
        loss: Tensor = bits + LATENT_STEP**2 * (self._distortion.weight(quality) * unlike).sum(dim=(1, 2))
        return loss


def _as_map(quality: Quality, y: Tensor) -> Tensor:
    """Return the quality of each latent [B, h, w]."""
    if not isinstance(quality, Tensor):
        return torch.full_like(y[:, 0], float(quality or 0))
    quality = quality.to(y.device)
    return quality if quality.ndim == 3 else quality[:, None, None].expand(-1, *y.shape[2:])
