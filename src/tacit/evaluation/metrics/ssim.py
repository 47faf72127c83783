"""SSIM and MS-SSIM, the structural similarity on one scale and on five.

They are computed in float64, since variances are differences of large numbers, and as sums of shifted images.
"""

from __future__ import annotations

import math

import numpy as np

from tacit.evaluation.metrics.metric import ImageMetricBase

_WINDOW = 11
_SIGMA = 1.5
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


class Ssim(ImageMetricBase):
    """Structural similarity.

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004.
    """

    name = "ssim"
    higher_is_better = True
    smallest = _WINDOW
    protocol = "Gaussian window 11, sigma 1.5, inside the image only; mean over R, G and B; float64"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the similarity, at most 1, which means equal images."""
        self.check(reference, decoded)
        similarity, _ = _compare(_channels(reference), _channels(decoded))
        return float(similarity.mean())


class MsSsim(ImageMetricBase):
    """Structural similarity on several scales.

    Source: Wang, Simoncelli and Bovik, Multi-Scale Structural Similarity for Image Quality Assessment, 2003.
    """

    name = "ms-ssim"
    higher_is_better = True
    # Four halvings must leave one window.
    smallest = (_WINDOW - 1) * 2 ** (len(_WEIGHTS) - 1) + 1
    protocol = (
        "five scales, Gaussian window 11, sigma 1.5, odd sizes padded with black as pytorch-msssim does; mean over R, "
        "G and B; float64"
    )

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the similarity, from 0 to 1, which means equal images."""
        self.check(reference, decoded)
        x, y = _channels(reference), _channels(decoded)
        product = np.ones(3)
        for scale, weight in enumerate(_WEIGHTS):
            if scale:
                x, y = _halved(x), _halved(y)
            similarity, contrast = _compare(x, y)
            last = scale == len(_WEIGHTS) - 1
            product *= np.maximum(similarity if last else contrast, 0) ** weight
        return float(product.mean())


def _channels(image: np.ndarray) -> np.ndarray:
    """Convert an image [H, W, 3] uint8 to [3, H, W] float64."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float64)


def _halved(x: np.ndarray) -> np.ndarray:
    """Return the means [3, ceil(H/2), ceil(W/2)] of 2x2 pixels of an image; an odd side begins with zeros."""
    height, width = x.shape[1:]
    x = np.pad(x, ((0, 0), (height % 2, 0), (width % 2, 0)))
    means: np.ndarray = (x[:, ::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, ::2] + x[:, 1::2, 1::2]) / 4
    return means


def _compare(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity of x and y, and its part without luminance: means [3] over two images [3, H, W]."""
    mean_x, mean_y = _blur(x), _blur(y)
    both = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    variances = _blur(x * x + y * y) - squares
    contrast = (2 * (_blur(x * y) - both) + _C2) / (variances + _C2)
    luminance = (2 * both + _C1) / (squares + _C1)
    return (luminance * contrast).mean(axis=(1, 2)), contrast.mean(axis=(1, 2))


def _blur(x: np.ndarray) -> np.ndarray:
    """Blur an image [3, H, W] with a Gaussian window, where that is inside: [3, H - 10, W - 10]."""
    reach = _WINDOW // 2
    weights = [math.exp(-(offset**2) / (2 * _SIGMA**2)) for offset in range(-reach, reach + 1)]
    for axis in (1, 2):
        size = x.shape[axis] - 2 * reach
        shifted = [x[(slice(None),) * axis + (slice(shift, shift + size),)] for shift in range(_WINDOW)]
        # The window is symmetric: what has one weight is added first.
        blurred = shifted[reach] * (weights[reach] / math.fsum(weights))
        part = np.empty_like(blurred)
        for i in range(reach):
            np.add(shifted[i], shifted[_WINDOW - 1 - i], out=part)
            part *= weights[i] / math.fsum(weights)
            blurred += part
        x = blurred
    return x
