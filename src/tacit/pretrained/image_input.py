"""Images as networks of `transformers` take them, by the numbers that a model's folder has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tacit.errors import CorruptWeights

FILE = "preprocessor_config.json"
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageInput:
    """Makes images into a network's input.

    Args:
        folder: The model's folder; without a `preprocessor_config.json` in it the usual numbers count.
        usual: Mean and standard deviation of each channel.
        size: The usual size.

    Raises:
        CorruptWeights: The file is none.
    """

    def __init__(self, folder: Path, usual: tuple[Sequence[float], Sequence[float]], size: dict[str, int]) -> None:
        path = folder / FILE
        try:
            given: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
            mean, deviation = (
                np.array(given.get(name) or own, np.float32).reshape(3)
                for name, own in zip(("image_mean", "image_std"), usual, strict=True)
            )
            named = given.get("size") or {}
            self._size = {name: int(named.get(name) or own) for name, own in size.items()}
            if not (min(self._size.values()) > 0 and (deviation > 0).all()):
                raise ValueError("a size or a deviation is not above 0")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CorruptWeights(f"{path}: not the numbers of a model's images: {error}") from error
        self._mean, self._deviation = mean, deviation

    def stretched(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return an image [H, W, 3] stretched to "height" and "width": [1, 3, h, w]."""
        return self._resized(pixels, self._size["width"], self._size["height"])

    def fitted(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return an image [H, W, 3] with "shortest_edge" pixels, or "longest_edge" where that is less: [1, 3, h, w]."""
        height, width = pixels.shape[:2]
        scale = min(self._size["shortest_edge"] / min(height, width), self._size["longest_edge"] / max(height, width))
        return self._resized(pixels, max(1, round(scale * width)), max(1, round(scale * height)))

    def squared(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return an image [H, W, 3] in the upper left of a square that is grey elsewhere, as `stretched` does."""
        side = max(pixels.shape[:2])
        square = np.full((side, side, 3), 128, np.uint8)
        square[: pixels.shape[0], : pixels.shape[1]] = pixels
        return self.stretched(square)

    def _resized(self, pixels: NDArray[np.uint8], width: int, height: int) -> Tensor:
        resized = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.BILINEAR)
        values = (np.asarray(resized, np.float32) / 255 - self._mean) / self._deviation
        return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())
