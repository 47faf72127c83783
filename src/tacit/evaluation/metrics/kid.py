"""KID, and the same statistic of SqueezeNet's features."""

from __future__ import annotations

import os

import numpy as np

from tacit.evaluation.metrics.patch_distance import (
    INCEPTION_PROTOCOL,
    SQUEEZENET_PROTOCOL,
    PatchDistance,
    inception_features,
    squeezenet_features,
)

_UNBIASED = "unbiased, over all pairs of patches"


def kid(*, patch: int = 256, weights: str | os.PathLike[str] | None = None) -> PatchDistance:
    """Return KID: the squared kernel distance (MMD²) of Inception's features.

    Args:
        patch: The patches' height and width in pixels.
        weights: The path of Inception's weights, or None to look in the usual places.
    """
    protocol = f"{INCEPTION_PROTOCOL}; {_UNBIASED}"
    return PatchDistance("kid", protocol, inception_features(weights), kernel_distance, patch)


def squeezenet_kernel(*, patch: int = 128, weights: str | os.PathLike[str] | None = None) -> PatchDistance:
    """Return the squared kernel distance (MMD²) of SqueezeNet's features, which is not KID.

    Args:
        patch: The patches' height and width in pixels.
        weights: The path of SqueezeNet's weights, or None to look in the usual places.
    """
    protocol = f"{SQUEEZENET_PROTOCOL}; {_UNBIASED}"
    return PatchDistance("squeezenet-kernel", protocol, squeezenet_features(weights), kernel_distance, patch)


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the unbiased estimate of MMD² with the kernel (a·b / D + 1)³, of x [N, D] and y [M, D]; can be below 0.

    It is over all pairs in place of random subsets, whose average it is the limit of.

    Source: Bińkowski et al., Demystifying MMD GANs, ICLR 2018.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * _total(x, y) / (len(x) * len(y))


def _mean_of_pairs(x: np.ndarray) -> float:
    """Return the kernel's mean over all pairs of different rows."""
    n = len(x)
    own = float(((np.square(x).sum(1) / x.shape[1] + 1) ** 3).sum())
    return (_total(x, x) - own) / (n * (n - 1))


def _total(x: np.ndarray, y: np.ndarray) -> float:
    """Return the kernel's sum over all pairs, in blocks of rows so that large sets need no large matrix."""
    return sum(float(((x[i : i + 1024] @ y.T / x.shape[1] + 1) ** 3).sum()) for i in range(0, len(x), 1024))
