"""SSIM and MS-SSIM, the structural similarity on one scale and on five.

They are computed in float64, since variances are differences of large numbers, and as sums of shifted images: torch's
convolution of float64 takes ten times as long, which is more than everything else that is measured of an image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tacit.evaluation.metrics.metric import ImageMetricBase

if TYPE_CHECKING:
    from torch import Tensor

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
        import torch.nn.functional as F

        self.check(reference, decoded)
        x, y = _channels(reference), _channels(decoded)
        product = x.new_ones(3)
        for scale, weight in enumerate(_WEIGHTS):
            if scale:
                odd = [size % 2 for size in x.shape[1:]]
                x, y = F.avg_pool2d(x, 2, padding=odd), F.avg_pool2d(y, 2, padding=odd)
            similarity, contrast = _compare(x, y)
            last = scale == len(_WEIGHTS) - 1
            product *= (similarity if last else contrast).relu() ** weight
        return float(product.mean())


def _channels(image: np.ndarray) -> Tensor:
    """Convert an image [H, W, 3] uint8 to [3, H, W] float64."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float64)


def _compare(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarity of x and y, and its part without luminance: means [3] over two images [3, H, W]."""
    mean_x, mean_y = _blur(x), _blur(y)
    both = mean_x * mean_y
    squares = mean_x.square_().add_(mean_y.square_())
    variances = _blur(x.square().addcmul_(y, y)).sub_(squares)
    contrast = (_blur(x * y).sub_(both).mul_(2).add_(_C2)).div_(variances.add_(_C2))
    luminance = both.mul_(2).add_(_C1).div_(squares.add_(_C1))
    return luminance.mul_(contrast).mean(dim=(1, 2)), contrast.mean(dim=(1, 2))


def _blur(x: Tensor) -> Tensor:
    """Blur an image [3, H, W] with a Gaussian window, where that is inside: [3, H - 10, W - 10]."""
    reach = _WINDOW // 2
    weights = [math.exp(-(offset**2) / (2 * _SIGMA**2)) for offset in range(-reach, reach + 1)]
    for axis in (1, 2):
        size = x.shape[axis] - 2 * reach
        first, *rest = (weight / math.fsum(weights) for weight in weights)
        blurred = x.narrow(axis, 0, size) * first
        for shift, weight in enumerate(rest, 1):
            blurred.add_(x.narrow(axis, shift, size), alpha=weight)
        x = blurred
    return x
