"""`tacit-s`: gated blocks at 1/8 and 1/16 around a linear transform of 16x16 patches, for every quality.

Pixels are unshuffled into channels, so the blocks run at 1/8 and 1/16 scale only. With the blocks at identity (their
initial state) analysis and synthesis are one linear transform of 16x16 patches and its transpose, into which the
patches' principal components are written before training (see `tacit.training.klt`).

Shapes are those of `tacit.models.float_model`.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.entropy.units import MEAN_LIMIT
from tacit.exact.arithmetic import SINGLE, Arithmetic
from tacit.exact.formats import OutputFormat
from tacit.models.attention import Extractor, Injector
from tacit.models.coding_order import EntropyNets, Step, walk
from tacit.models.float_model import FloatModel, Forward, Transform
from tacit.models.layers import GatedBlock, QualityAffine, QualityScale
from tacit.models.prior import FactorizedPrior
from tacit.models.quantization import SCALE_LEVELS, gaussian_likelihood, lower_bound, mixed, round_through, uniform
from tacit.models.slots import slots_of
from tacit.models.tacit_s_config import TacitSConfig
from tacit.text.tokens import TextTokens

PIXELS8 = 3 * 8 * 8  # values of 8x8 pixels
PIXELS16 = 3 * 16 * 16  # values of 16x16 pixels
NARROWEST = 0.11  # the lowest scale that a rounded residual is priced by while training
INDEX_SLOPE, INDEX_START = 6.25, 32.0  # raw scale outputs of order one span the scale table


class TacitSAnalysis(Transform):
    """The analysis: H and W of its images must be multiples of 16.

    A learned null token stands beside every caption, so that no caption is a case like any other. `slots` is that of
    `tacit.models.attention`.
    """

    def __init__(self, latent: int, blocks8: int, blocks16: int, text_width: int, heads: int, slots: int = 0) -> None:
        super().__init__()
        self.null_token = nn.Parameter(torch.zeros(1, 1, text_width))
        self.blocks8 = nn.ModuleList([GatedBlock(PIXELS8) for _ in range(blocks8)])
        self.project = nn.Conv2d(PIXELS16, latent, 1)
        self.blocks16 = nn.ModuleList([GatedBlock(latent) for _ in range(blocks16)])
        self.inject8 = Injector(PIXELS8, text_width, heads, slots=slots)
        self.extract16 = Extractor(latent, text_width, heads, slots=slots)
        self.inject16 = Injector(latent, text_width, heads, slots=slots)

    @property
    def reach(self) -> int:
        """Pixels beyond a tile that its latents depend on (the Extractor apart, which sees the tile)."""
        return 8 * len(self.blocks8) + 16 * len(self.blocks16)

    def forward(self, x: Tensor, tokens: TextTokens) -> Tensor:
        """Return y [B, M, H/16, W/16], before the gain, for x [B, 3, H, W] in [0, 1] and the tokens of B captions."""
        batch = x.shape[0]
        tokens = TextTokens(
            torch.cat([self.null_token.expand(batch, -1, -1), tokens.embeddings], dim=1),
            F.pad(tokens.mask, (1, 0), value=True),
            F.pad(tokens.weights, (1, 0), value=1.0),
        )
        y: Tensor = F.pixel_unshuffle(2 * x - 1, 8).contiguous(memory_format=torch.channels_last)
        middle = len(self.blocks8) // 2
        for block in self.blocks8[:middle]:
            y = block(y)
        y = self.inject8(y, tokens)
        for block in self.blocks8[middle:]:
            y = block(y)
        y = self.project(F.pixel_unshuffle(y, 2).contiguous(memory_format=torch.channels_last))
        middle = len(self.blocks16) // 2
        for block in self.blocks16[:middle]:
            y = block(y)
        y = self.inject16(y, self.extract16(y, tokens))
        for block in self.blocks16[middle:]:
            y = block(y)
        return y


class TacitSSynthesis(Transform):
    """The synthesis: the analysis mirrored, with the quality instead of a caption."""

    def __init__(self, latent: int, blocks8: int, blocks16: int, knots: int) -> None:
        super().__init__()
        self.affine16 = QualityAffine(latent, knots)
        self.blocks16 = nn.ModuleList([GatedBlock(latent) for _ in range(blocks16)])
        self.project = nn.Conv2d(latent, PIXELS16, 1)
        self.affine8 = QualityAffine(PIXELS8, knots, 2)
        self.blocks8 = nn.ModuleList([GatedBlock(PIXELS8) for _ in range(blocks8)])

    @property
    def reach(self) -> int:
        """Latents beyond a tile that its pixels depend on."""
        return len(self.blocks16) + -(-len(self.blocks8) // 2)

    def forward(self, y: Tensor, quality: Tensor) -> Tensor:
        """Return x [B, 3, 16 h, 16 w], about [0, 1] and not clamped, for y [B, M, h, w] after the inverse gain."""
        x = self.affine16(y, quality)
        for block in self.blocks16:
            x = block(x.float())
        x = self.project(x.to(self.project.weight.dtype))
        x = F.pixel_shuffle(x, 2).contiguous(memory_format=torch.channels_last)
        x = self.affine8(x, quality)
        for block in self.blocks8:
            x = block(x.float())
        return F.pixel_shuffle(x, 8).float().add_(1).div_(2)


class TacitSEntropyNets(nn.Module):
    """Hyper-synthesis, context and parameter networks.

    They are chains of 1x1, depthwise 3x3, ReLU and shuffles, all of which can be frozen to integers.
    """

    def __init__(self, c: TacitSConfig) -> None:
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


class TacitSModel(FloatModel):
    """`tacit-s` in floating point: the quality acts in the gains, in the synthesis, and as a plane beside z."""

    config: TacitSConfig
    analysis: TacitSAnalysis
    synthesis: TacitSSynthesis
    gain: QualityScale
    inverse_gain: QualityScale
    entropy: TacitSEntropyNets
    context_scale: Tensor

    def __init__(self, config: TacitSConfig) -> None:
        super().__init__()
        self.config = c = config
        slots = slots_of(c.attention, c.linear_length)
        self.analysis = TacitSAnalysis(c.latent, c.analysis8, c.analysis16, c.text_width, c.heads, slots)
        self.synthesis = TacitSSynthesis(c.latent, c.synthesis8, c.synthesis16, c.knots)
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
        self.entropy = TacitSEntropyNets(c)
        self.prior = FactorizedPrior(c.hyper)
        self.register_buffer("context_scale", torch.ones(c.latent))

    def hyper_latents(self, y: Tensor) -> Tensor:
        """Return z, before rounding, for y after the gain.

        asinh keeps the large low frequencies in range; it is written out because torch's own is not vectorised on the
        CPU.
        """
        size = y.abs()
        squeezed = torch.log1p(size + size * size / (1 + (size * size + 1).sqrt()))
        return self.hyper_analysis(torch.copysign(squeezed, y))  # type: ignore[no-any-return]

    def hyper_features(self, z: Tensor, quality: Tensor) -> Tensor:
        """Return the output of the hyper-synthesis [B, F, h, w] for z, rounded, and the quality."""
        plane = (quality - 50) / 50
        plane = plane[:, None, ::4, ::4] if plane.ndim == 3 else plane[:, None, None, None].expand(-1, 1, *z.shape[2:])
        return self.entropy.hyper_synthesis(torch.cat([z, plane.to(z.dtype)], dim=1))  # type: ignore[no-any-return]

    def scale_step(self) -> float:
        """Return the distance of neighbouring entries of the scale table, in log sigma."""
        c = self.config
        return math.log(c.scale_max / c.scale_min) / (SCALE_LEVELS - 1)

    def scale_index(self, raw: Tensor) -> Tensor:
        """Return continuous indices 0..63 into the scale table for raw scale outputs."""
        return lower_bound(INDEX_SLOPE * raw + INDEX_START, 0.0).clamp_max(SCALE_LEVELS - 1)

    def forward(
        self,
        x: Tensor,
        tokens: TextTokens,
        quality: Tensor,
        seeds: Tensor | None = None,
        rounded: float = 0.0,
        decoded: Tensor | None = None,
    ) -> Forward:
        """Run one pass of training, as `FloatModel.forward` says."""
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
            residual = y_rows[:, :, step.start : step.stop].index_select(1, step.positions) - mean
            symbols = round_through(residual)
            stream = 1 + 2 * step.group + step.anchor
            mass = mixed(
                lambda: gaussian_likelihood(residual + uniform(residual, seeds, stream), scale),
                # a narrower scale would cost a zero nothing less, and leave any other symbol without a gradient
                lambda: gaussian_likelihood(symbols, lower_bound(scale, NARROWEST)),
                rounded,
            )
            step_bits = -mass.log2().sum(dim=(1, 2))
            if decoded is not None:  # what is not decoded stands at its mean, and costs nothing
                known = (step.number < decoded).to(symbols.dtype)
                symbols, step_bits = symbols * known[:, None, None], step_bits * known
            bits.append(step_bits)
            return (symbols + mean) * scales

        y_hat = walk(cast(EntropyNets, self.entropy), hyper, visit) / self.context_scale[:, None, None]
        x_hat = self.synthesis(y_hat * self.inverse_gain(quality), quality)
        return Forward(x_hat, torch.stack(bits).sum(dim=0), -z_mass.log2().sum(dim=(1, 2, 3)))

    # -- what freezing asks (`tacit.models.freezing`) ---------------------------------------------------------------

    def arithmetic(self) -> Arithmetic:
        """Return float32, which every processor and GPU computes fast."""
        return SINGLE

    def scale_table(self) -> Tensor:
        """Return the 64 scales, log-spaced."""
        levels = torch.arange(SCALE_LEVELS, dtype=torch.float64)
        return (levels * self.scale_step() + math.log(self.config.scale_min)).exp()

    def latent_units(self) -> Tensor:
        """Return how many sixteenths of a step the contexts see as 1, by channel."""
        return 16 / self.context_scale.double()

    def parameter_format(self, start: int, stop: int) -> OutputFormat:
        """Return a format in which scales are indices of tables, and means are in sixteenths."""
        count = stop - start
        ones = torch.ones(count, dtype=torch.float64)
        return OutputFormat(
            torch.cat([INDEX_SLOPE * ones, self.latent_units()[start:stop].cpu()]),
            torch.cat([INDEX_START * ones, 0 * ones]),
            torch.cat([0 * ones, -MEAN_LIMIT * ones]),
            torch.cat([(SCALE_LEVELS - 1) * ones, MEAN_LIMIT * ones]),
        )

    def index_thresholds(self) -> None:
        """Return None: the index itself is predicted."""

    def quality_plane(self) -> bool:
        """Return True: the quality stands beside z."""
        return True

    def narrow_scales(self) -> int:
        """Return how many scales are below 0.13 steps.

        There, one symbol in 10,000 would not be zero, and is not worth its 14 bits.
        """
        return int((self.scale_table() < 0.13).sum())
