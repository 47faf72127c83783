"""A whole model: transforms, gains, hyperprior and entropy networks; what training sees.

Shapes: x [B, 3, H, W] in [0, 1]; y [B, M, H/16, W/16]; z [B, Z, H/64, W/64]; quality [B] in 0..100, or a map of it
[B, H/16, W/16] that is constant over the 4x4 positions of a hyper-latent.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.exact import Target
from tacit.models.float_model import FloatModel, Forward
from tacit.models.latents import MEAN_LIMIT, EntropyNets, Step, walk
from tacit.models.layers import QualityScale
from tacit.models.linear import slots_of
from tacit.models.noise import mixed, uniform
from tacit.models.prior import LIKELIHOOD_FLOOR, FactorizedPrior
from tacit.models.transforms import Analysis, Synthesis
from tacit.text.tokens import TextTokens

SCALE_LEVELS = 64
NARROWEST = 0.11  # scale of a rounded residual while training
INDEX_SLOPE, INDEX_START = 6.25, 32.0  # raw scale outputs of order one span the scale table


@dataclass(frozen=True)
class SmallConfig:
    """Sizes of `tacit-s`; stored in the weights file, so that loading needs nothing else.

    attention: full, or linear: over linear_length slots to which words and pixels are pooled.
    """

    latent: int = 320
    groups: tuple[int, ...] = (16, 16, 32, 64, 192)
    analysis8: int = 4
    analysis16: int = 3
    synthesis16: int = 3
    synthesis8: int = 5
    hyper: int = 96
    hyper_width: int = 192
    features: int = 256
    context: int = 160
    hidden: tuple[int, int] = (256, 192)
    knots: int = 9
    text_encoder: str = "embedded"
    text_width: int = 256
    heads: int = 8
    scale_min: float = 0.02
    scale_max: float = 64.0
    attention: str = "full"
    linear_length: int = 64

    def __post_init__(self) -> None:
        slots_of(self.attention, self.linear_length)
        if self.knots < 2:
            raise ValueError(f"knots {self.knots}: 2 or more are needed, of which the gains are interpolated")
        if sum(self.groups) != self.latent:
            raise ValueError(f"groups {self.groups} do not add up to {self.latent} latent channels")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class _LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient still passes where it would lift x off the bound."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        (grad,) = grads
        return grad * ((x >= ctx.bound) | (grad < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound) that can be trained at the bound."""
    return _LowerBound.apply(x, bound)  # type: ignore[no-any-return,no-untyped-call]


def round_through(x: Tensor) -> Tensor:
    """Rounding with the gradient of the identity."""
    return x + (x.round() - x).detach()


def gaussian_likelihood(residual: Tensor, scale: Tensor) -> Tensor:
    """Probability of the unit interval around `residual` under a zero-mean normal distribution."""
    size = residual.abs()
    inverse = math.sqrt(0.5) / scale
    upper = torch.erfc((size - 0.5) * inverse)
    lower = torch.erfc((size + 0.5) * inverse)
    return (0.5 * (upper - lower)).clamp_min(LIKELIHOOD_FLOOR)


class SmallEntropyNets(nn.Module):
    """Hyper-synthesis, context and parameter networks of `tacit-s`: chains of 1x1, depthwise 3x3, ReLU and shuffles,
    all of which can be frozen to integers."""

    def __init__(self, c: SmallConfig) -> None:
        super().__init__()
        self.groups = c.groups
        w = c.hyper_width
        self.hyper_synthesis = nn.Sequential(
            nn.Conv2d(c.hyper + 1, 4 * w, 1),
            nn.ReLU(),
            nn.PixelShuffle(2),
            nn.Conv2d(w, w, 3, padding=1, groups=w),
            nn.Conv2d(w, w, 1),
            nn.ReLU(),
            nn.Conv2d(w, 4 * w, 1),
            nn.ReLU(),
            nn.PixelShuffle(2),
            nn.Conv2d(w, w, 3, padding=1, groups=w),
            nn.Conv2d(w, c.features, 1),
            nn.ReLU(),
        )
        e = c.context
        self.channel_context = nn.ModuleList()
        self.local_context = nn.ModuleList()
        self.parameters_anchor = nn.ModuleList()
        self.parameters_other = nn.ModuleList()
        for group, channels in enumerate(c.groups):
            earlier = sum(c.groups[:group])
            if group:
                self.channel_context.append(
                    nn.Sequential(
                        nn.Conv2d(earlier, e, 1),
                        nn.ReLU(),
                        nn.Conv2d(e, e, 3, padding=1, groups=e),
                        nn.Conv2d(e, e, 1),
                        nn.ReLU(),
                    )
                )
            self.local_context.append(
                nn.Sequential(nn.Conv2d(channels, e, 1, bias=False), nn.Conv2d(e, e, 3, padding=1, groups=e))
            )
            known = c.features + (e if group else 0)
            self.parameters_anchor.append(self._head(known, c.hidden, channels))
            self.parameters_other.append(self._head(known + e, c.hidden, channels))

    @staticmethod
    def _head(inputs: int, hidden: tuple[int, int], channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(inputs, hidden[0]),
            nn.ReLU(),
            nn.Linear(hidden[0], hidden[1]),
            nn.ReLU(),
            nn.Linear(hidden[1], 2 * channels),
        )


class SmallModel(FloatModel):
    """`tacit-s`, float. Quality acts through the gains, the synthesis' affine layers and a plane beside z."""

    config: SmallConfig
    analysis: Analysis
    synthesis: Synthesis
    gain: QualityScale
    inverse_gain: QualityScale
    entropy: SmallEntropyNets
    context_scale: Tensor

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = c = config
        slots = slots_of(c.attention, c.linear_length)
        self.analysis = Analysis(c.latent, c.analysis8, c.analysis16, c.text_width, c.heads, slots)
        self.synthesis = Synthesis(c.latent, c.synthesis8, c.synthesis16, c.knots)
        self.gain = QualityScale(c.latent, c.knots)
        self.inverse_gain = QualityScale(c.latent, c.knots)
        w = c.hyper_width
        self.hyper_analysis = nn.Sequential(
            nn.Conv2d(c.latent, w, 1),
            nn.LeakyReLU(0.1),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * w, w, 1),
            nn.Conv2d(w, w, 3, padding=1, groups=w),
            nn.LeakyReLU(0.1),
            nn.Conv2d(w, w, 1),
            nn.LeakyReLU(0.1),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * w, c.hyper, 1),
        )
        self.entropy = SmallEntropyNets(c)
        self.prior = FactorizedPrior(c.hyper)
        self.register_buffer("context_scale", torch.ones(c.latent))

    def hyper_latents(self, y: Tensor) -> Tensor:
        """y, gained -> z, before rounding. asinh keeps the large low frequencies in range; it is written out because
        torch's own is not vectorised on the CPU."""
        size = y.abs()
        squeezed = torch.log1p(size + size * size / (1 + (size * size + 1).sqrt()))
        return self.hyper_analysis(torch.copysign(squeezed, y))  # type: ignore[no-any-return]

    def hyper_features(self, z: Tensor, quality: Tensor) -> Tensor:
        """z rounded, quality -> H [B, F, h, w]."""
        plane = (quality - 50) / 50
        plane = plane[:, None, ::4, ::4] if plane.ndim == 3 else plane[:, None, None, None].expand(-1, 1, *z.shape[2:])
        return self.entropy.hyper_synthesis(torch.cat([z, plane.to(z.dtype)], dim=1))  # type: ignore[no-any-return]

    def scale_step(self) -> float:
        """Distance of neighbouring entries of the scale table, in log sigma."""
        c = self.config
        return math.log(c.scale_max / c.scale_min) / (SCALE_LEVELS - 1)

    def scale_index(self, raw: Tensor) -> Tensor:
        """Raw scale outputs -> continuous index 0..63 into the scale table."""
        return lower_bound(INDEX_SLOPE * raw + INDEX_START, 0.0).clamp_max(SCALE_LEVELS - 1)

    def forward(
        self, x: Tensor, tokens: TextTokens, quality: Tensor, seeds: Tensor | None = None, rounded: float = 0.0
    ) -> Forward:
        """H and W: multiples of 64. seeds [B]: of each image's noise; without them it is torch's. rounded: the share of
        the bits that rounded latents give instead of noisy ones."""
        y = self.analysis(x, tokens).float() * self.gain(quality)
        z = self.hyper_latents(y).float()
        z_hat = round_through(z)
        z_mass = mixed(
            lambda: self.prior.likelihood(z + uniform(z, seeds, 0)), lambda: self.prior.likelihood(z_hat), rounded
        )
        hyper = self.hyper_features(z_hat, quality)

        y_rows = y.flatten(2).transpose(1, 2)
        bits: list[Tensor] = []

        def visit(step: Step, parameters: Tensor) -> Tensor:
            raw, mean = parameters.float().chunk(2, dim=-1)
            scale = (self.scale_index(raw) * self.scale_step() + math.log(self.config.scale_min)).exp()
            scales = self.context_scale[step.start : step.stop]
            mean = mean / scales  # the means are predicted in the contexts' own units
            residual = y_rows[:, step.positions, step.start : step.stop] - mean
            symbols = round_through(residual)
            stream = 1 + 2 * step.group + step.anchor
            mass = mixed(
                lambda: gaussian_likelihood(residual + uniform(residual, seeds, stream), scale),
                # a narrower scale would cost a zero nothing less, and leave any other symbol without a gradient
                lambda: gaussian_likelihood(symbols, lower_bound(scale, NARROWEST)),
                rounded,
            )
            bits.append(-mass.log2().sum(dim=(1, 2)))
            return (symbols + mean) * scales

        y_hat = walk(cast(EntropyNets, self.entropy), hyper, visit) / self.context_scale[:, None, None]
        x_hat = self.synthesis(y_hat * self.inverse_gain(quality), quality)
        return Forward(x_hat, torch.stack(bits).sum(dim=0), -z_mass.log2().sum(dim=(1, 2, 3)))

    # -- what freezing asks (see `tacit.models.frozen`) -------------------------------------------------------------

    def scale_table(self) -> Tensor:
        """The 64 scales, log-spaced."""
        levels = torch.arange(SCALE_LEVELS, dtype=torch.float64)
        return (levels * self.scale_step() + math.log(self.config.scale_min)).exp()

    def latent_units(self) -> Tensor:
        """Sixteenths of a step per unit of the contexts."""
        return 16 / self.context_scale.double()

    def parameter_target(self, start: int, stop: int) -> Target:
        """The scales come out as table indices, the means in sixteenths."""
        count = stop - start
        ones = torch.ones(count, dtype=torch.float64)
        return Target(
            torch.cat([INDEX_SLOPE * ones, self.latent_units()[start:stop].cpu()]),
            torch.cat([INDEX_START * ones, 0 * ones]),
            torch.cat([0 * ones, -MEAN_LIMIT * ones]),
            torch.cat([(SCALE_LEVELS - 1) * ones, MEAN_LIMIT * ones]),
        )

    def index_thresholds(self) -> None:
        """The index itself is predicted."""

    def quality_plane(self) -> bool:
        """The quality stands beside z."""
        return True

    def narrow_scales(self) -> int:
        """Below 0.13 steps one symbol in 10,000 would not be zero, and is not worth its 14 bits."""
        return int((self.scale_table() < 0.13).sum())


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until H and W are multiples."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")
