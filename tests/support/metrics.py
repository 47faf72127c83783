"""Images and metrics for tests."""

from __future__ import annotations

import importlib.util
import io
import shutil
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from tacit.evaluation.metrics import ImageMetric, load_metric


def photo(height: int = 192, width: int = 208, seed: int = 0) -> np.ndarray:
    """Smooth structure, edges and a little noise: something that metrics of pictures are made for."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 32.0
    waves = np.stack([np.sin(x + c) * np.cos(y * (1 + c / 3)) for c in range(3)], axis=-1)
    edges = ((x // 2 + y // 2) % 2)[..., None]
    image: np.ndarray = np.clip(110 + 60 * waves + 40 * edges + rng.normal(0, 4, waves.shape), 0, 255)
    return image.astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def image_metric(name: str, **options: Any) -> ImageMetric:
    if name.startswith("butteraugli") and not shutil.which("butteraugli_main"):
        pytest.skip("libjxl-devtools is not installed")
    if name == "st-lpips" and importlib.util.find_spec("stlpips_pytorch") is None:
        pytest.skip("stlpips-pytorch, which has the weights, is not installed")
    return cast(ImageMetric, load_metric(name, **options))
