"""FID, and the same statistic of SqueezeNet's features."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tacit.evaluation.metrics.patch_distance import (
    INCEPTION_PROTOCOL,
    SQUEEZENET_PROTOCOL,
    PatchDistance,
    inception_features,
    squeezenet_features,
)


def fid(*, patch: int = 256, weights: str | os.PathLike[str] | None = None) -> PatchDistance:
    """Return FID: Fréchet's distance of Inception's features.

    Args:
        patch: The patches' height and width in pixels.
        weights: The path of Inception's weights, or None to look in the usual places.
    """
    return PatchDistance("fid", INCEPTION_PROTOCOL, inception_features(weights), frechet_distance, patch)


def squeezenet_frechet(*, patch: int = 128, weights: str | os.PathLike[str] | None = None) -> PatchDistance:
    """Return Fréchet's distance of SqueezeNet's features, which is not FID.

    Args:
        patch: The patches' height and width in pixels.
        weights: The path of SqueezeNet's weights, or None to look in the usual places.
    """
    features = squeezenet_features(weights)
    return PatchDistance("squeezenet-frechet", SQUEEZENET_PROTOCOL, features, frechet_distance, patch)


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return |mean difference|² + tr(Cx + Cy - 2 (Cx Cy)^½) of the Gaussians of x [N, D] and y [M, D].

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    shift = x.mean(0) - y.mean(0)
    # With C = RᵀR, tr (Cx Cy)^½ is the sum of the singular values of Rx Ryᵀ: no root of a nearly singular matrix.
    first, second = _root(x), _root(y)
    traces = float(np.square(first).sum() + np.square(second).sum())
    common = float(np.linalg.svd(first @ second.T, compute_uv=False).sum())
    return max(float(shift @ shift) + traces - 2 * common, 0.0)


def _root(x: np.ndarray) -> np.ndarray:
    """Return R [min(N, D), D] of x [N, D], where RᵀR is the covariance of x."""
    root: Any = np.linalg.qr((x - x.mean(0)) / np.sqrt(len(x) - 1), mode="r")
    return np.asarray(root)
