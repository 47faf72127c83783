"""How well a decoded picture fits its caption, in CLIP's eyes."""

from __future__ import annotations

import os
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from tacit.errors import InvalidInput
from tacit.evaluation.metrics.metric import Described


class ClipScore(Described):
    """100 times the cosine between the embeddings of picture and caption, and at least 0.

    model: a folder, or a name whose files are in the Hugging Face hub's cache.
    Source: Hessel et al., CLIPScore, EMNLP 2021, with its factor 2.5 written as 100, as is usual.
    """

    level: ClassVar[Literal["image"]] = "image"
    name = "clip-score"
    higher_is_better = True
    needs_caption = True

    def __init__(self, *, model: str | os.PathLike[str] | None = None) -> None:
        from tacit.pretrained import clip

        self._clip = clip.Clip(clip.DEFAULT if model is None else model)
        name = clip.DEFAULT if model is None else os.path.basename(str(model).rstrip("/\\"))
        self.protocol = (
            f"100 max(cosine, 0) by {name}; shorter side to {self._clip.side}, bicubic (Pillow), centre; "
            f"captions cut at {self._clip.max_tokens} tokens"
        )

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """0 to 100. The reference is not looked at.

        Raises:
            InvalidInput: no caption.
        """
        self.check(reference, decoded)
        if not caption:
            raise InvalidInput(f"{self.name} needs a caption")
        import torch

        from tacit.evaluation.metrics.deep import unit_batch

        with torch.inference_mode():
            picture = self._clip.image(unit_batch(centre(decoded, self._clip.side)[None]))
            cosine = float((picture * self._clip.text([caption])).sum())
        return 100 * max(cosine, 0.0)


def centre(image: np.ndarray, side: int) -> np.ndarray:
    """[H, W, 3] -> [side, side, 3]: the shorter side is made `side`, the longer cut on both ends."""
    height, width = image.shape[:2]
    box = []
    for length in (width, height):
        resized = side * length // min(height, width)
        start = (resized - side) // 2
        box += [start * length / resized, (start + side) * length / resized]
    left, right, top, bottom = box
    # The same as resizing all of it and cutting then, without the whole of a very long picture.
    resized_image = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC, (left, top, right, bottom))
    return np.asarray(resized_image)
