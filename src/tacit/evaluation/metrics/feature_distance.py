"""A distance in SqueezeNet's features, with no fitted layers: not LPIPS."""

from __future__ import annotations

import os

import numpy as np

from tacit.evaluation.metrics.metric import ImageMetricBase
from tacit.evaluation.metrics.tensors import unit_batch


class SqueezenetDistance(ImageMetricBase):
    """The distance between the directions of SqueezeNet's features.

    Args:
        weights: The path of the network's weights, or None to look in the usual places.
    """

    name = "squeezenet-distance"

    def __init__(self, *, weights: str | os.PathLike[str] | None = None) -> None:
        from tacit.pretrained.catalogue import SQUEEZENET
        from tacit.pretrained.feature_distance import load_feature_distance
        from tacit.pretrained.features import SMALLEST

        self.protocol = (
            "mean squared distance of unit features over seven stages of Keras's SqueezeNet 1.1; float32; "
            f"{SQUEEZENET.label}"
        )
        self.smallest = SMALLEST["squeeze"]
        self._distance = load_feature_distance(weights)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the distance, from 0 for equal images to 2 at most."""
        import torch

        self.check(reference, decoded)
        with torch.inference_mode():
            return float(self._distance(unit_batch(reference[None]), unit_batch(decoded[None])))
