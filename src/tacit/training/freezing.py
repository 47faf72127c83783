"""Freezing of a trained model's entropy networks, with crops of images as samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tacit.models.float_model import FloatModel
from tacit.text.tokens import TextTokens

if TYPE_CHECKING:
    from tacit.models.frozen import FrozenEntropy

CROPS = 32  # crops from which the activations' ranges are taken


@torch.no_grad()
def freeze_model(model: FloatModel, crops: Tensor) -> FrozenEntropy:
    """Freeze the entropy networks of a model to integers.

    Args:
        model: The model, in evaluation mode.
        crops: Samples [N, 3, H, W] uint8, over which qualities are spread evenly.

    Raises:
        NotExact: The weights do not fit into exact integers.
    """
    from tacit.models.freezing import freeze_entropy

    quality = torch.linspace(0, 100, crops.shape[0])
    x = crops.float() / 255
    y = model.analysis(x, TextTokens.empty(x.shape[0], model.config.text_width)).float()
    if model.gain is not None:
        y = y * model.gain(quality)
    return freeze_entropy(model, y, model.hyper_latents(y), quality)
