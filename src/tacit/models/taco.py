"""The published TACO network, with a fixed rate as published or with a quality.

Shapes are those of `tacit.models.float_model`; the quality has no effect where the rate is fixed. Source: TACO, ICML
2024, arXiv 2403.02944, on ELIC, CVPR 2022.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.entropy.units import MEAN_LIMIT
from tacit.exact.arithmetic import DOUBLE, Arithmetic
from tacit.exact.formats import OutputFormat
from tacit.models.attention import Extractor, Injector
from tacit.models.coding_order import EntropyNets, Step, walk
from tacit.models.elic import AttentionBlock, Bottleneck, downsample, upsample
from tacit.models.float_model import FloatModel, Forward, Transform
from tacit.models.layers import QualityScale
from tacit.models.prior import FactorizedPrior
from tacit.models.quantization import SCALE_LEVELS, gaussian_likelihood, lower_bound, mixed, round_through, uniform
from tacit.models.slots import slots_of
from tacit.text.tokens import TextTokens

SCALE_UNIT = 4096  # frozen networks give sigma in units of 1 / 4096


@dataclass(frozen=True, kw_only=True)
class TacoConfig:
    """Sizes of `taco`; they are stored in the weights file, so that loading needs nothing else."""

    width: int = 192  # hidden channels, and channels of z
    latent: int = 320  # channels of y
    groups: tuple[int, ...] = (16, 16, 32, 64, 192)  # channels of y in each group of the coding order
    knots: int = 0  # qualities between which the gains are interpolated; 0 is a fixed rate
    published: bool = False
    """Whether the text layers are those of imported weights: they attend to padding, keep the normed signal as their
    residual, and have no null token."""
    text_encoder: str = "clip"  # name of the text encoder
    text_width: int = 512  # width of its embeddings
    heads: int = 8  # of the attention
    scale_min: float = 0.11  # the lowest scale, in steps
    scale_max: float = 256.0  # the highest scale, in steps
    multiple: int = 64  # without effect; weights files store it
    attention: str = "full"  # or linear: over linear_length slots, to which words and pixels are pooled
    linear_length: int = 64

    def __post_init__(self) -> None:
        slots_of(self.attention, self.linear_length)
        if sum(self.groups) != self.latent:
            raise ValueError(f"groups must add up to the {self.latent} latent channels, got {self.groups}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


class TacoAnalysis(Transform):
    """The analysis: H and W of its images must be multiples of 16.

    Unless `published`, padding is masked and a learned null token stands beside every caption, so that no caption is a
    case like any other. `slots` is that of `tacit.models.attention`.
    """

    def __init__(
        self, width: int, latent: int, text_width: int, heads: int, *, published: bool = False, slots: int = 0
    ) -> None:
        super().__init__()
        self.published = published
        if not published:
            self.null_token = nn.Parameter(torch.zeros(1, 1, text_width))
        n = width
        self.layers = nn.ModuleList(
            [
                downsample(3, n),
                *(Bottleneck(n) for _ in range(3)),
                downsample(n, n),
                *(Bottleneck(n) for _ in range(3)),
                Injector(n, text_width, heads, published=published, slots=slots),
                AttentionBlock(n),
                downsample(n, n),
                *(Bottleneck(n) for _ in range(3)),
                Extractor(n, text_width, heads, published=published, slots=slots),
                Injector(n, text_width, heads, published=published, slots=slots),
                downsample(n, latent),
                AttentionBlock(latent),
            ]
        )

    @property
    def reach(self) -> int:
        """Pixels beyond a tile that its latents depend on (the Extractor apart, which sees the tile)."""
        # At each scale: two for the 5x5 convolution that reads it, one a bottleneck, three an attention block.
        return 2 + 2 * (3 + 2) + 4 * (3 + 3 + 2) + 8 * (3 + 2) + 16 * 3

    def forward(self, x: Tensor, tokens: TextTokens) -> Tensor:
        """Return y [B, M, H/16, W/16], before the gain, for x [B, 3, H, W] in [0, 1] and the tokens of B captions."""
        if not self.published:
            tokens = TextTokens(
                torch.cat([self.null_token.expand(len(tokens), -1, -1), tokens.embeddings], dim=1),
                F.pad(tokens.mask, (1, 0), value=True),
                F.pad(tokens.weights, (1, 0), value=1.0),
            )
        x = x.contiguous(memory_format=torch.channels_last)  # faster on CPUs, as in the synthesis
        for layer in self.layers:
            if isinstance(layer, Extractor):
                tokens = layer(x, tokens)
            elif isinstance(layer, Injector):
                x = layer(x, tokens)
            else:
                x = layer(x)
        return x


class TacoSynthesis(Transform):
    """The synthesis: the analysis mirrored, without text."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        n = width
        self.layers = nn.Sequential(
            AttentionBlock(latent),
            upsample(latent, n),
            *(Bottleneck(n) for _ in range(3)),
            upsample(n, n),
            AttentionBlock(n),
            *(Bottleneck(n) for _ in range(3)),
            upsample(n, n),
            *(Bottleneck(n) for _ in range(3)),
            upsample(n, 3),
        )

    @property
    def reach(self) -> int:
        """Latents beyond a tile that its pixels depend on."""
        # In pixels as in the analysis, from the latent at each 16x16 cell's first pixel to the cell's last.
        return (16 * 3 + 8 * (2 + 3) + 4 * (2 + 3 + 3) + 2 * (2 + 3) + 2 + 15) // 16

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """Return x [B, 3, 16 h, 16 w], about [0, 1] and not clamped, for y [B, M, h, w] after the inverse gain."""
        return self.layers(y.contiguous(memory_format=torch.channels_last)).float()  # type: ignore[no-any-return]


class TacoEntropyNets(nn.Module):
    """Hyper-synthesis, context and parameter networks.

    They are chains of convolutions, linear layers and ReLU, all of which can be frozen to integers.
    """

    def __init__(self, c: TacoConfig) -> None:
        super().__init__()
        self.groups = c.groups
        middle = c.latent * 3 // 2
        features = c.latent * 2
        self.hyper_synthesis = nn.Sequential(
            upsample(c.width, c.latent),
            nn.ReLU(),
            upsample(c.latent, middle),
            nn.ReLU(),
            nn.Conv2d(middle, features, 3, padding=1),  # published as a transposed one; with stride 1 it is the same
        )
        self.channel_context = nn.ModuleList()
        self.local_context = nn.ModuleList()
        self.parameters_anchor = nn.ModuleList()
        self.parameters_other = nn.ModuleList()
        for group, channels in enumerate(c.groups):
            out = 2 * channels
            if group:
                self.channel_context.append(
                    nn.Sequential(
                        nn.Conv2d(sum(c.groups[:group]), 224, 5, padding=2),
                        nn.ReLU(),
                        nn.Conv2d(224, 128, 5, padding=2),
                        nn.ReLU(),
                        nn.Conv2d(128, out, 5, padding=2),
                    )
                )
            self.local_context.append(nn.Sequential(nn.Conv2d(channels, out, 5, padding=2)))
            known = features + (out if group else 0)
            self.parameters_anchor.append(self._head(known, out))
            self.parameters_other.append(self._head(known + out, out))

    @staticmethod
    def _head(inputs: int, out: int) -> nn.Sequential:
        """Return the published 1x1 convolutions, for rows [B, P, C]."""
        return nn.Sequential(
            nn.Linear(inputs, out * 5 // 3),
            nn.ReLU(),
            nn.Linear(out * 5 // 3, out * 4 // 3),
            nn.ReLU(),
            nn.Linear(out * 4 // 3, out),
        )


class TacoModel(FloatModel):
    """`taco` in floating point: the rate is fixed, as published, or with knots follows the quality through gains."""

    config: TacoConfig
    analysis: TacoAnalysis
    synthesis: TacoSynthesis
    entropy: TacoEntropyNets

    def __init__(self, config: TacoConfig) -> None:
        super().__init__()
        self.config = c = config
        n = c.width
        slots = slots_of(c.attention, c.linear_length)
        self.analysis = TacoAnalysis(n, c.latent, c.text_width, c.heads, published=c.published, slots=slots)
        self.synthesis = TacoSynthesis(n, c.latent)
        self.gain = QualityScale(c.latent, c.knots) if c.knots else None
        self.inverse_gain = QualityScale(c.latent, c.knots) if c.knots else None
        self.hyper_analysis = nn.Sequential(
            nn.Conv2d(c.latent, n, 3, padding=1), nn.ReLU(), downsample(n, n), nn.ReLU(), downsample(n, n)
        )
        self.entropy = TacoEntropyNets(c)
        self.prior = FactorizedPrior(n)

    @property
    def published(self) -> bool:
        """Whether the configuration is that of the published network."""
        return self.config.published

    def hyper_latents(self, y: Tensor) -> Tensor:
        """Return z, before rounding, for y after the gain."""
        return self.hyper_analysis(y)  # type: ignore[no-any-return]

    def hyper_features(self, z: Tensor, quality: Tensor | None = None) -> Tensor:
        """Return the output of the hyper-synthesis [B, 2 M, h, w] for z, rounded about the medians."""
        return self.entropy.hyper_synthesis(z)  # type: ignore[no-any-return]

    def scale(self, raw: Tensor) -> Tensor:
        """Return sigma, in units of the latents, for raw scale outputs."""
        return lower_bound(raw, self.config.scale_min)

    def code(
        self, y: Tensor, hyper: Tensor, seeds: Tensor | None = None, rounded: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Quantise y as coding does, and return its likelihood.

        While training the likelihood is that of y with noise, so that it has a gradient, or of rounded values, in the
        share `rounded`.

        Args:
            y: After the gain [B, M, h, w].
            hyper: The output of the hyper-synthesis.
            seeds: The seed of each image's noise [B]; without them torch's own generator draws it.
            rounded: 0..1.

        Returns:
            y rounded about its predicted means, and the likelihood of each value; both [B, M, h, w].
        """
        rows = y.flatten(2).transpose(1, 2)
        likelihood = torch.empty_like(rows)

        def visit(step: Step, parameters: Tensor) -> Tensor:
            raw, mean = parameters.float().chunk(2, dim=-1)
            residual = rows[:, :, step.start : step.stop].index_select(1, step.positions) - mean
            symbols, scale = round_through(residual), self.scale(raw)
            stream = 1 + 2 * step.group + step.anchor
            likelihood[:, step.positions, step.start : step.stop] = mixed(
                lambda: gaussian_likelihood(residual + uniform(residual, seeds, stream), scale),
                lambda: gaussian_likelihood(symbols, scale),
                rounded if self.training else 1.0,
            )
            return symbols + mean

        y_hat = walk(cast(EntropyNets, self.entropy), hyper, visit)
        return y_hat, likelihood.transpose(1, 2).reshape(y.shape)

    def code_hyper(self, z: Tensor, seeds: Tensor | None = None, rounded: float = 0.0) -> tuple[Tensor, Tensor]:
        """Quantise z about the prior's medians, and return its likelihood, as in `code`.

        Returns:
            z rounded, and the likelihood of each value; both [B, N, h, w].
        """
        medians = self.prior.medians[:, None, None]
        z_hat = round_through(z - medians) + medians
        likelihood = mixed(
            lambda: self.prior.likelihood(z + uniform(z, seeds, 0)),
            lambda: self.prior.likelihood(z_hat),
            rounded if self.training else 1.0,
        )
        return z_hat, likelihood

    def forward(
        self,
        x: Tensor,
        tokens: TextTokens,
        quality: Tensor | None = None,
        seeds: Tensor | None = None,
        rounded: float = 0.0,
        decoded: Tensor | None = None,
    ) -> Forward:
        """Run one pass of training, as `FloatModel.forward` says.

        The quality may be left out where the rate is fixed. In evaluation mode all bits are those of rounded latents.

        Raises:
            ValueError: `decoded` is given, which this architecture does not take.
        """
        if decoded is not None:
            raise ValueError("decoded must be None for this architecture")
        y = self.analysis(x, tokens).float()
        if self.gain is not None:
            y = y * self.gain(quality)
        z_hat, z_mass = self.code_hyper(self.hyper_latents(y).float(), seeds, rounded)
        y_hat, y_mass = self.code(y, self.hyper_features(z_hat, quality), seeds, rounded)
        if self.inverse_gain is not None:
            y_hat = y_hat * self.inverse_gain(quality)
        x_hat = self.synthesis(y_hat, quality)
        return Forward(x_hat, -y_mass.log2().sum(dim=(1, 2, 3)), -z_mass.log2().sum(dim=(1, 2, 3)))

    # -- what freezing asks (`tacit.models.freezing`) ---------------------------------------------------------------

    def arithmetic(self) -> Arithmetic:
        """Return float64: sums of so many terms are not worth their bytes below 2^24."""
        return DOUBLE

    def scale_table(self) -> Tensor:
        """Return the 64 scales, log-spaced."""
        c = self.config
        return torch.linspace(math.log(c.scale_min), math.log(c.scale_max), SCALE_LEVELS, dtype=torch.float64).exp()

    def latent_units(self) -> Tensor:
        """Return 16 for every channel: the contexts see the latents as they are."""
        return torch.full((self.config.latent,), 16.0, dtype=torch.float64)

    def parameter_format(self, start: int, stop: int) -> OutputFormat:
        """Return a format in which scales are in units of 1 / SCALE_UNIT, and means are in sixteenths."""
        ones = torch.ones(stop - start, dtype=torch.float64)
        return OutputFormat(
            torch.cat([SCALE_UNIT * ones, self.latent_units()[start:stop]]),
            torch.cat([0 * ones, 0 * ones]),
            torch.cat([0 * ones, -MEAN_LIMIT * ones]),
            torch.cat([SCALE_UNIT * self.config.scale_max * ones, MEAN_LIMIT * ones]),
        )

    def index_thresholds(self) -> Tensor:
        """Return the middles, in log sigma, between the table's scales, in units of 1 / SCALE_UNIT.

        So each scale is coded with the table nearest to it.
        """
        table = self.scale_table()
        return ((table[1:] * table[:-1]).sqrt() * SCALE_UNIT).round()

    def quality_plane(self) -> bool:
        """Return False: the hyper-synthesis takes z alone."""
        return False

    def narrow_scales(self) -> int:
        """Return 0: the published network bounds its scales at 0.11 and codes what stands out."""
        return 0
