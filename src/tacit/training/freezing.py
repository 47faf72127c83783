"""Freezing of a trained model's entropy networks, with crops of images as samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tacit.models.float_model import FloatModel
from tacit.text.tokens import TextTokens

if TYPE_CHECKING:
    from tacit.exact.arithmetic import Arithmetic
    from tacit.models.frozen import FrozenEntropy

BATCH = 16
CROPS = 64  # crops from which the activations' ranges are taken


@torch.no_grad()
def freeze_model(model: FloatModel, crops: Tensor, arithmetic: Arithmetic | None = None) -> FrozenEntropy:
    """Freeze the entropy networks of a model to integers.

    The ranges of latents and activations are those of the crops at qualities that are spread evenly over them, and of
    all crops at the highest quality, where latents are largest: images that are no photographs reach further than most.

    Args:
        model: The model, in evaluation mode.
        crops: Samples [N, 3, H, W] uint8.
        arithmetic: The numbers that hold the integers; the architecture's own if not given.

    Raises:
        NotExact: The weights do not fit into exact integers.
    """
    from tacit.models.freezing import freeze_entropy

    y = torch.cat(
        [model.analysis(x, TextTokens.empty(len(x), model.config.text_width)).float() for x in _batches(crops)]
    )
    quality = torch.linspace(0, 100, len(y))
    if model.gain is not None:
        quality = torch.cat([quality, torch.full((len(y),), 100.0)])
        y = torch.cat([y, y]) * model.gain(quality)
    return freeze_entropy(model, y, model.hyper_latents(y), quality, arithmetic)


def _batches(crops: Tensor) -> Iterator[Tensor]:
    """Yield a few crops at a time [n, 3, H, W] in [0, 1]: they bound the memory that the analysis takes."""
    for part in crops.split(BATCH):
        yield part.float() / 255
