"""Networks that look for words in images: how they are loaded, and what they take and give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tacit.pretrained.offline import load_offline


class OpenVocabularyNetwork:
    """A network that looks for words, run by `transformers` (the extra `clip`).

    Args:
        folder: The model's folder, with its tokenizer's files.
        device: A device as torch names it.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: Files are missing in the folder.
        CorruptWeights: The files are not such a model, or not all of one.
    """

    title: ClassVar[str]
    """What messages call it."""
    network: ClassVar[str]
    """Its class in `transformers`."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        model, self._tokenizer = load_offline(self.title, folder, self.network)
        self._model: Any = model.to(device)
        self._device = device

    def _tokens(self, texts: Sequence[str], padding: bool | str) -> dict[str, Any]:
        """Return texts as the network takes them, cut where they are longer than it was trained with.

        Args:
            texts: The texts.
            padding: To the longest of them (True), or to the most tokens ("max_length").
        """
        tokens = self._tokenizer(
            list(texts),
            padding=padding,
            truncation=True,
            max_length=self._model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self._device)
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}


@dataclass(frozen=True)
class NamedThing:
    """Words for a thing that a network looks for."""

    text: str
    """The words."""
    head: tuple[int, int]
    """Where in them the noun is that names the thing: the places of its first letter and behind its last."""


@dataclass(frozen=True)
class Detections:
    """Boxes in which a network sees a thing, in any order."""

    scores: NDArray[np.float32]
    """How sure it is of each, 0 to 1 [n]."""
    boxes: NDArray[np.float32]
    """Left, top, right and bottom of each in shares of the image [n, 4]; they may go beyond its border."""


def corners(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return left, top, right and bottom of boxes that are given by their middles, widths and heights [n, 4]."""
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([middle - half, middle + half], axis=1)
