"""CLIPSeg, which segments images by words (2112.10003)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.pretrained.image_input import IMAGENET, ImageInput
from tacit.pretrained.open_vocabulary import NamedThing, OpenVocabularyNetwork

SIDE = 352
AT_ONCE = 16  # things that are looked for in one pass


class ClipSeg(OpenVocabularyNetwork):
    """CLIPSeg as `transformers` has it."""

    title = "CLIPSeg"
    network = "CLIPSegForImageSegmentation"

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        super().__init__(folder, device)
        self._images = ImageInput(folder, IMAGENET, {"height": SIDE, "width": SIDE})

    def __call__(self, pixels: NDArray[np.uint8], things: Sequence[NamedThing]) -> list[NDArray[np.float32]]:
        """Return how likely each place of an image shows each of some things, 0 to 1 [h, w].

        Args:
            pixels: uint8 [H, W, 3].
            things: The things.
        """
        image = self._images.stretched(pixels).to(self._device)
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(things), AT_ONCE):
            texts = [thing.text for thing in things[start : start + AT_ONCE]]
            with torch.inference_mode():
                seen = self._model(
                    **self._tokens(texts, padding=True), pixel_values=image.expand(len(texts), -1, -1, -1)
                )
            maps = seen.logits.sigmoid().float().cpu().numpy()
            found += list(maps.reshape(len(texts), *maps.shape[-2:]))  # of one text, the logits have no first axis
        return found
