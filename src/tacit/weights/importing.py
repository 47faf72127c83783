"""Importing published checkpoints as weights files."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from tacit.errors import CorruptWeights, NotExact
from tacit.exact.calibration import synthetic_images
from tacit.models.freezing import freeze_entropy
from tacit.models.taco_import import load_published, read_published
from tacit.text.tokens import TextTokens
from tacit.weights.catalogue import WeightsInfo, describe
from tacit.weights.saving import save


def import_taco(checkpoint: str | os.PathLike[str], out: str | os.PathLike[str]) -> WeightsInfo:
    """Freeze a published TACO checkpoint into a weights file.

    This is done once: the file is what people share. Freezing again may give other integers on another machine.

    Raises:
        PathError: The checkpoint cannot be read, or the weights file cannot be written.
        CorruptWeights: The checkpoint is not the published network's state dict.
        NotExact: The network's integers cannot be proven exact.
    """
    state = read_published(checkpoint)
    try:
        model = load_published(state)
        images = synthetic_images(256)
        with torch.inference_mode():
            words = TextTokens.empty(len(images), model.config.text_width)
            y = model.analysis(images, words)
            z = model.hyper_latents(y)
        entropy = freeze_entropy(model, y.clone(), z.clone(), torch.zeros(len(images)))
    except (CorruptWeights, NotExact) as error:
        raise type(error)(f"{checkpoint}: {error}") from error
    path = Path(out)
    source = {"imported_from": Path(checkpoint).name, "terms": "those of the published checkpoint"}
    save(path, model, entropy, source)
    return describe(path)
