"""OWLv2, which detects things by words (2306.09683)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.pretrained.clip import MEAN, STANDARD_DEVIATION
from tacit.pretrained.image_input import ImageInput
from tacit.pretrained.open_vocabulary import Detections, NamedThing, OpenVocabularyNetwork, corners

PROMPT = "a photo of a {}"  # how the words were given in training
AT_ONCE = 64  # things that are looked for in one pass


class Owlv2(OpenVocabularyNetwork):
    """OWLv2 as `transformers` has it."""

    title = "OWLv2"
    network = "Owlv2ForObjectDetection"

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        super().__init__(folder, device)
        side = int(self._model.config.vision_config.image_size)
        self._images = ImageInput(folder, (MEAN, STANDARD_DEVIATION), {"height": side, "width": side})

    def __call__(self, pixels: NDArray[np.uint8], things: Sequence[NamedThing]) -> list[Detections]:
        """Return where an image shows each of some things; it is seen once for up to 64 of them.

        Args:
            pixels: uint8 [H, W, 3].
            things: The things.
        """
        image = self._images.squared(pixels).to(self._device)
        height, width = pixels.shape[:2]
        square = np.array([width, height, width, height], np.float32) / max(width, height)  # the image's part of it
        found = []
        for start in range(0, len(things), AT_ONCE):
            scores, boxes = self._seen(image, things[start : start + AT_ONCE])
            found += [Detections(own, corners(boxes) / square) for own in scores.T]
        return found

    def _seen(
        self, image: torch.Tensor, things: Sequence[NamedThing]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return scores [boxes, things], and boxes in shares of the square."""
        texts = [PROMPT.format(thing.text) for thing in things]
        with torch.inference_mode():
            seen = self._model(**self._tokens(texts, padding="max_length"), pixel_values=image)
        return seen.logits[0].sigmoid().float().cpu().numpy(), seen.pred_boxes[0].float().cpu().numpy()
