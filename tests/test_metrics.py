"""Metrics against closed forms, other libraries and published values."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from tacit.errors import InvalidInput
from tacit.evaluation.metrics import METRICS, load_metric


def photo(height: int = 192, width: int = 208, seed: int = 0) -> np.ndarray:
    """Smooth structure, edges and a little noise: something that metrics of pictures are made for."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 32.0
    waves = np.stack([np.sin(x + c) * np.cos(y * (1 + c / 3)) for c in range(3)], axis=-1)
    edges = ((x // 2 + y // 2) % 2)[..., None]
    return np.clip(110 + 60 * waves + 40 * edges + rng.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


IMAGE_METRICS = ("psnr", "psnr-y", "ssim", "ms-ssim", "ssimulacra2")


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_better_files_measure_better(name: str) -> None:
    metric = load_metric(name)
    assert metric.name == name
    assert metric.level == "image"
    assert metric.protocol
    image = photo()
    values = [metric(image, jpeg(image, quality)) for quality in (5, 20, 50, 90)]
    assert values == sorted(values, reverse=not metric.higher_is_better)
    assert len(set(values)) == 4
    perfect = metric(image, image)
    assert perfect > values[-1] if metric.higher_is_better else perfect < values[-1]


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_images_that_a_metric_cannot_take(name: str) -> None:
    metric = load_metric(name)
    n = metric.smallest
    metric(photo(n, n), photo(n, n, 1))
    if n > 1:
        with pytest.raises(InvalidInput, match=f"{name} needs {n} pixels a side or more, not {n + 5}x{n - 1}"):
            metric(photo(n - 1, n + 5), photo(n - 1, n + 5))
    with pytest.raises(InvalidInput, match=r"two images \[H, W, 3\]"):
        metric(photo(), photo()[:-1])
    with pytest.raises(InvalidInput, match=r"two images \[H, W, 3\]"):
        metric(photo()[..., 0], photo()[..., 0])
    with pytest.raises(InvalidInput, match="uint8 is needed"):
        metric(photo(), photo().astype(np.float32))


def test_a_metric_by_a_wrong_name_or_option() -> None:
    with pytest.raises(InvalidInput, match="no metric 'psnrr'; there are psnr, psnr-y, "):
        load_metric("psnrr")
    with pytest.raises(InvalidInput, match="psnr: got an unexpected keyword argument 'network'"):
        load_metric("psnr", network="alex")
    assert set(IMAGE_METRICS) <= set(METRICS)


def test_psnr() -> None:
    image = photo()
    image[image > 250] = 250
    assert load_metric("psnr")(image, image + 5) == pytest.approx(20 * math.log10(255 / 5))
    assert load_metric("psnr-y")(image, image + 5) == pytest.approx(20 * math.log10(255 / 5))
    green = image + np.array([0, 3, 0], np.uint8)
    assert load_metric("psnr")(image, green) == pytest.approx(20 * math.log10(255 / 3) + 10 * math.log10(3))
    assert load_metric("psnr-y")(image, green) == pytest.approx(20 * math.log10(255 / (3 * 0.587)))
    assert load_metric("psnr")(image, image) == math.inf


def test_ssim_is_scikit_images() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    image = photo()
    for decoded in (jpeg(image, 10), 255 - image):
        expected = metrics.structural_similarity(
            image, decoded, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert load_metric("ssim")(image, decoded) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_is_the_product_of_its_scales() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    image = photo()
    decoded = jpeg(image, 10)
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik, 2003
    values = []
    for channel in range(3):
        x, y = (array[..., channel].astype(float) for array in (image, decoded))
        product = 1.0
        for scale, weight in enumerate(weights):

            def mean(a: np.ndarray) -> np.ndarray:
                return ndimage.gaussian_filter(a, 1.5, radius=5)[5:-5, 5:-5]

            luminance = (2 * mean(x) * mean(y) + 6.5025) / (mean(x) ** 2 + mean(y) ** 2 + 6.5025)
            variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
            contrast = (2 * (mean(x * y) - mean(x) * mean(y)) + 58.5225) / (variances + 58.5225)
            product *= (luminance * contrast if scale == 4 else contrast).mean() ** weight
            x, y = (a.reshape(len(a) // 2, 2, -1, 2).mean(axis=(1, 3)) if scale < 4 else a for a in (x, y))
        values.append(product)
    assert load_metric("ms-ssim")(image, decoded) == pytest.approx(np.mean(values), abs=1e-9)


def test_ssimulacra2_at_its_anchors() -> None:
    metric = load_metric("ssimulacra2")
    image = photo()
    assert metric(image, image) == pytest.approx(100)
    assert metric(image, 255 - image) < 0
