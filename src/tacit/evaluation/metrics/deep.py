"""Distances in the features of networks, by tacit.pretrained."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from tacit.evaluation.metrics.metric import Described

if TYPE_CHECKING:
    import torch

    from tacit.pretrained.catalogue import Network
    from tacit.pretrained.feature_distance import FeatureDistance
    from tacit.pretrained.lpips import Lpips, Scale

Path = str | os.PathLike[str] | None

_TITLES = {"alex": "AlexNet", "vgg": "VGG-16", "squeeze": "SqueezeNet 1.1"}


class LpipsMetric(Described):
    """LPIPS 0.1 of one network; backbone, heads: paths of its files, where they are not found by their names."""

    level: ClassVar[Literal["image"]] = "image"

    def __init__(
        self, network: Network, scale: Scale = "published", *, backbone: Path = None, heads: Path = None
    ) -> None:
        from tacit.pretrained.catalogue import BACKBONES, HEADS
        from tacit.pretrained.features import SMALLEST
        from tacit.pretrained.lpips import load_lpips

        self.name = f"lpips-{network}" + ("" if scale == "published" else f"-{scale}")
        self.smallest = SMALLEST[network]
        given = "[-1, 1]" if scale == "published" else "[0, 1], as the authors of TACO gave it"
        self._distance: Lpips = load_lpips(network, scale=scale, backbone=backbone, heads=heads)
        self.protocol = (
            f"LPIPS 0.1 of torchvision's {_TITLES[network]}, given {given}; float32; "
            f"{BACKBONES[network].label}, {HEADS[network].label}"
        )

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """0 is equality."""
        self.check(reference, decoded)
        return _distance(self._distance, reference, decoded)


class SqueezenetDistance(Described):
    """The distance between features' directions, with no fitted layers: not LPIPS."""

    level: ClassVar[Literal["image"]] = "image"
    name = "squeezenet-distance"

    def __init__(self, *, weights: Path = None) -> None:
        from tacit.pretrained.catalogue import SQUEEZENET
        from tacit.pretrained.feature_distance import load_feature_distance
        from tacit.pretrained.features import SMALLEST

        self.protocol = (
            "mean squared distance of unit features over seven stages of Keras's SqueezeNet 1.1; float32; "
            f"{SQUEEZENET.label}"
        )
        self.smallest = SMALLEST["squeeze"]
        self._distance: FeatureDistance = load_feature_distance(weights)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """0 is equality; at most 2."""
        self.check(reference, decoded)
        return _distance(self._distance, reference, decoded)


def unit_batch(images: np.ndarray) -> torch.Tensor:
    """[N, H, W, 3] uint8 -> [N, 3, H, W] float32 in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(torch.float32) / 255


def _distance(distance: FeatureDistance | Lpips, reference: np.ndarray, decoded: np.ndarray) -> float:
    import torch

    with torch.inference_mode():
        return float(distance(unit_batch(reference[None]), unit_batch(decoded[None])))
