"""SSIM and MS-SSIM against other libraries and the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.metrics import image_metric, jpeg, photo


def test_ssim_is_scikit_images() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    image = photo()
    for decoded in (jpeg(image, 10), 255 - image):
        expected = metrics.structural_similarity(
            image, decoded, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert image_metric("ssim")(image, decoded) == pytest.approx(expected, abs=1e-9)


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
                blurred: np.ndarray = ndimage.gaussian_filter(a, 1.5, radius=5)
                return blurred[5:-5, 5:-5]

            luminance = (2 * mean(x) * mean(y) + 6.5025) / (mean(x) ** 2 + mean(y) ** 2 + 6.5025)
            variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
            contrast = (2 * (mean(x * y) - mean(x) * mean(y)) + 58.5225) / (variances + 58.5225)
            product *= (luminance * contrast if scale == 4 else contrast).mean() ** weight
            x, y = (a.reshape(len(a) // 2, 2, -1, 2).mean(axis=(1, 3)) if scale < 4 else a for a in (x, y))
        values.append(product)
    assert image_metric("ms-ssim")(image, decoded) == pytest.approx(np.mean(values), abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(192, 208), (163, 177), (161, 301)])
def test_both_are_those_of_pytorch_msssim(height: int, width: int) -> None:
    library = pytest.importorskip("pytorch_msssim")
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    window = torch.softmax(-offsets.square() / 4.5, 0).expand(3, 1, 1, 11)  # the library's own is of float32
    image = photo(height, width)
    for decoded in (jpeg(image, 10), 255 - image):
        x, y = (torch.from_numpy(np.ascontiguousarray(a.transpose(2, 0, 1))).double()[None] for a in (decoded, image))
        for name, function in (("ssim", library.ssim), ("ms-ssim", library.ms_ssim)):
            expected = function(x, y, data_range=255, win=window).item()
            assert image_metric(name)(image, decoded) == pytest.approx(expected, abs=1e-12), name
