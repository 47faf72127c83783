"""What a model costs: its multiplications for each pixel, counted by torch as it runs on tensors without values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from tacit.models.building import build
from tacit.text.tokens import TextTokens

SIDE = 768
"""The height and width that are counted with by default; but for attention, the counts do not depend on it."""


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """Thousands of multiplications (with an addition each, MAC) for each pixel.

    They are those of matrix products, convolutions and attention; what is done to single values does not count.
    """

    analysis: float
    """The analysis, for an image without a caption."""
    hyper_analysis: float
    """The hyper-analysis."""
    entropy: float
    """The hyper-synthesis, context and parameter networks, which both sides run."""
    synthesis: float
    """The synthesis."""

    @property
    def encoding(self) -> float:
        """What an encoder runs at a given quality."""
        return self.analysis + self.hyper_analysis + self.entropy

    @property
    def decoding(self) -> float:
        """What a decoder runs."""
        return self.entropy + self.synthesis

    @property
    def all(self) -> float:
        """Every network once, as papers count a model."""
        return self.encoding + self.synthesis


def count(architecture: str, config: Mapping[str, Any], side: int = SIDE) -> Complexity:
    """Count the multiplications of a model.

    Args:
        architecture: The architecture's name.
        config: The sizes of its networks, as weights files have them.
        side: The height and width of the image, a multiple of 64.
    """
    with torch.device("meta"):
        model = build(architecture, config).eval()
        x = torch.empty(1, 3, side, side)
        quality = torch.full((1,), 50.0)
        tokens = TextTokens.empty(1, model.config.text_width)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(x, tokens, quality)
    counts = counter.get_flop_counts()

    def thousands(part: str) -> float:
        return sum(counts[part].values()) / 2 / side**2 / 1000

    name = type(model).__name__
    parts = {part: thousands(f"{name}.{part}") for part in ("analysis", "hyper_analysis", "synthesis")}
    # The entropy networks run one by one, not as one module; nothing else multiplies matrices.
    return Complexity(**parts, entropy=thousands("Global") - sum(parts.values()))
