"""The configuration of `tacit-s`; this module needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tacit.models.slots import slots_of


@dataclass(frozen=True, kw_only=True)
class TacitSConfig:
    """Sizes of `tacit-s`; they are stored in the weights file, so that loading needs nothing else."""

    latent: int = 320  # channels of y
    groups: tuple[int, ...] = (16, 16, 32, 64, 192)  # channels of y in each group of the coding order
    analysis8: int = 4  # blocks of the analysis at 1/8
    analysis16: int = 3  # blocks of the analysis at 1/16
    synthesis16: int = 3  # blocks of the synthesis at 1/16
    synthesis8: int = 5  # blocks of the synthesis at 1/8
    hyper: int = 96  # channels of z
    hyper_width: int = 192  # hidden channels of the hyper-analysis and hyper-synthesis
    features: int = 256  # output channels of the hyper-synthesis
    context: int = 160  # output channels of the context networks
    hidden: tuple[int, int] = (256, 192)  # hidden channels of the parameter networks
    knots: int = 9  # qualities between which gains, scales and shifts are interpolated
    text_encoder: str = "embedded"  # name of the text encoder
    text_width: int = 256  # width of its embeddings
    heads: int = 8  # of the attention
    scale_min: float = 0.02  # the lowest scale, in steps
    scale_max: float = 64.0  # the highest scale, in steps
    attention: str = "full"  # or linear: over linear_length slots, to which words and pixels are pooled
    linear_length: int = 64

    def __post_init__(self) -> None:
        slots_of(self.attention, self.linear_length)
        if self.knots < 2:
            raise ValueError(f"knots must be 2 or more, of which the gains are interpolated, got {self.knots}")
        if sum(self.groups) != self.latent:
            raise ValueError(f"groups must add up to the {self.latent} latent channels, got {self.groups}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)
