"""What every architecture's float model offers to training, freezing and coding.

Shapes, in every architecture: x [B, 3, H, W] in [0, 1]; y [B, M, H/16, W/16]; z [B, Z, H/64, W/64]; quality [B] in
0..100, or a map of it [B, H/16, W/16] that is constant over the 4x4 positions of a hyper-latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from tacit.exact.arithmetic import Arithmetic
from tacit.exact.formats import OutputFormat
from tacit.models.layers import QualityScale
from tacit.models.prior import FactorizedPrior
from tacit.text.tokens import TextTokens


@dataclass(frozen=True)
class Forward:
    """What training needs from one pass."""

    x_hat: Tensor
    """The decoded images, shaped like x, not clamped."""

    y_bits: Tensor
    """The bits of each image's latents [B]."""

    z_bits: Tensor
    """The bits of each image's hyper-latents [B]."""


class ArchitectureConfig(Protocol):
    """The sizes that every architecture's configuration names; it is a frozen dataclass with more of its own."""

    @property
    def latent(self) -> int:
        """Channels of y."""

    @property
    def groups(self) -> Sequence[int]:
        """Channels of y in each group of the coding order."""

    @property
    def knots(self) -> int:
        """Qualities between which the gains are interpolated; 0 for a fixed rate."""

    @property
    def text_encoder(self) -> str:
        """Name of the text encoder."""

    @property
    def text_width(self) -> int:
        """Width of the text encoder's embeddings."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""


class Transform(nn.Module):
    """An analysis or a synthesis."""

    @property
    def reach(self) -> int:
        """How far beyond a tile its results depend on: pixels for an analysis, latents for a synthesis."""
        raise NotImplementedError


class FloatModel(nn.Module):
    """The base class of all architectures' float models: transforms, gains, hyperprior and entropy networks."""

    config: ArchitectureConfig
    analysis: Transform
    """Takes x and the tokens of B captions; gives y before the gain."""
    synthesis: Transform
    """Takes y after the inverse gain, and the quality; gives x, not clamped."""
    gain: QualityScale | None
    """What y is multiplied with before rounding; None for a fixed rate."""
    inverse_gain: QualityScale | None
    """What decoded latents are multiplied with; None for a fixed rate."""
    hyper_analysis: nn.Sequential
    """Makes z; its last layer tells the channels of z."""
    entropy: nn.Module
    """The networks that the coding order asks for (`EntropyNets`), of layers that can be frozen to integers."""
    prior: FactorizedPrior
    """The density of z."""

    @property
    def published(self) -> bool:
        """Whether this is the published TACO network.

        Its regions are padded with zeros to whole hyper-latents, and an image without a caption is encoded with the
        empty caption.
        """
        return False

    def hyper_latents(self, y: Tensor) -> Tensor:
        """Return z, before rounding, for y after the gain."""
        raise NotImplementedError

    def hyper_features(self, z: Tensor, quality: Tensor) -> Tensor:
        """Return the output of the hyper-synthesis [B, F, h, w] for z, rounded, and the quality."""
        raise NotImplementedError

    def forward(
        self,
        x: Tensor,
        tokens: TextTokens,
        quality: Tensor,
        seeds: Tensor | None = None,
        rounded: float = 0.0,
        decoded: Tensor | None = None,
    ) -> Forward:
        """Run one pass of training.

        Args:
            x: [B, 3, H, W] in [0, 1]; H and W are multiples of 64.
            tokens: Of B captions.
            quality: [B], or a map where the architecture takes maps.
            seeds: [B] int64, the seed of each image's noise; without them torch's own generator draws it.
            rounded: The share of the bits that is estimated for rounded latents instead of noisy ones.
            decoded: How many steps of the coding order count as decoded [B] int64, two for each group; the latents of
                later steps stand at their predicted means, and their bits are not counted. All without it.
        """
        raise NotImplementedError

    # -- what freezing asks (`tacit.models.freezing`) ---------------------------------------------------------------

    def arithmetic(self) -> Arithmetic:
        """Return the floating-point numbers that hold the frozen networks' integers."""
        raise NotImplementedError

    def scale_table(self) -> Tensor:
        """Return the rising scales of the 64 tables."""
        raise NotImplementedError

    def latent_units(self) -> Tensor:
        """Return how many sixteenths of a step the contexts see as 1, for each channel [M]."""
        raise NotImplementedError

    def parameter_format(self, start: int, stop: int) -> OutputFormat:
        """Return what the parameter networks of channels start..stop give: scales, then means in sixteenths."""
        raise NotImplementedError

    def index_thresholds(self) -> Tensor | None:
        """Return rising integers, or None if a scale output is the index of its table.

        The table of a scale output is the number of thresholds below the output.
        """
        raise NotImplementedError

    def quality_plane(self) -> bool:
        """Return whether the hyper-synthesis takes the quality beside z."""
        raise NotImplementedError

    def narrow_scales(self) -> int:
        """Return how many of the lowest scales code nothing: the symbols there are zero."""
        raise NotImplementedError
