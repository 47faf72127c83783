"""CLIP score: how well a decoded image fits its caption."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from tacit.errors import InvalidInput
from tacit.evaluation.metrics.metric import ImageMetricBase
from tacit.evaluation.metrics.tensors import unit_batch
from tacit.extras import require


class ClipScore(ImageMetricBase):
    """100 times the cosine between CLIP's embeddings of image and caption, and at least 0.

    Source: Hessel et al., CLIPScore, EMNLP 2021, with its factor 2.5 written as 100, as is usual.

    Args:
        model: A folder, or a name whose files are in the Hugging Face cache; None for CLIP ViT-B/32.
    """

    name = "clip-score"
    higher_is_better = True
    needs_caption = True

    def __init__(self, *, model: str | os.PathLike[str] | None = None) -> None:
        for package in ("transformers", "torch"):
            require(package, self.name, "clip")
        from tacit.pretrained import clip

        self._clip = clip.Clip(clip.DEFAULT if model is None else model)
        name = clip.DEFAULT if model is None else os.path.basename(str(model).rstrip("/\\"))
        self.protocol = (
            f"100 max(cosine, 0) by {name}; shorter side to {self._clip.side}, bicubic (Pillow), centre; "
            f"captions cut at {self._clip.max_tokens} tokens"
        )

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the score of the decoded image, 0 to 100; the reference plays no part.

        Raises:
            InvalidInput: There is no caption.
        """
        self.check(reference, decoded)
        if not caption:
            raise InvalidInput(f"{self.name} needs a caption")
        import torch

        with torch.inference_mode():
            image = self._clip.image(unit_batch(centre_square(decoded, self._clip.side)[None]))
            cosine = float((image * self._clip.text([caption])).sum())
        return 100 * max(cosine, 0.0)


def centre_square(image: np.ndarray, side: int) -> np.ndarray:
    """Resize an image [H, W, 3] so that its shorter side is `side`, and cut the longer one: [side, side, 3]."""
    height, width = image.shape[:2]
    box = []
    for length in (width, height):
        resized = side * length // min(height, width)
        start = (resized - side) // 2
        box += [start * length / resized, (start + side) * length / resized]
    left, right, top, bottom = box
    # The same as resizing the whole image and cutting then, without the whole of a very long image.
    resized_image = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC, (left, top, right, bottom))
    return np.asarray(resized_image)
