"""LPIPS and ST-LPIPS, distances in the features of a network with fitted layers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from tacit.evaluation.metrics.metric import ImageMetricBase
from tacit.evaluation.metrics.tensors import unit_batch

if TYPE_CHECKING:
    from torch import Tensor

    from tacit.pretrained.catalogue import Network
    from tacit.pretrained.lpips import Lpips, Scale

_TITLES = {"alex": "AlexNet", "vgg": "VGG-16", "squeeze": "SqueezeNet 1.1"}


class _LpipsBase(ImageMetricBase):
    """What LPIPS and ST-LPIPS have in common.

    The features of the last reference are kept, since many decoded files are compared with one image after another.
    """

    _distance: Lpips
    _last: tuple[np.ndarray, list[Tensor]] | None = None

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the distance, 0 for equal images."""
        import torch

        self.check(reference, decoded)
        with torch.inference_mode():
            ours = self._distance.unit_features(unit_batch(decoded[None]))
            return float(self._distance.between(self._reference_features(reference), ours))

    def _reference_features(self, reference: np.ndarray) -> list[Tensor]:
        if self._last is not None and self._last[0] is reference:
            return self._last[1]
        self._last = None
        features = self._distance.unit_features(unit_batch(reference[None]))
        if not reference.flags.writeable:  # what can change under the same name is not kept
            self._last = reference, features
        return features


class LpipsMetric(_LpipsBase):
    """LPIPS 0.1 of one network.

    Args:
        network: "alex", "vgg" or "squeeze".
        scale: The range of values that the network is fed with: "published", or "taco" for that of TACO's authors.
        backbone: The path of the network's weights, or None to look in the usual places.
        heads: The path of the fitted layers, or None to look in the usual places.
    """

    def __init__(
        self,
        network: Network,
        scale: Scale = "published",
        *,
        backbone: str | os.PathLike[str] | None = None,
        heads: str | os.PathLike[str] | None = None,
    ) -> None:
        from tacit.pretrained.catalogue import BACKBONES, HEADS
        from tacit.pretrained.features import SMALLEST
        from tacit.pretrained.lpips import load_lpips

        self.name = f"lpips-{network}" + ("" if scale == "published" else f"-{scale}")
        self.smallest = SMALLEST[network]
        fed = "[-1, 1]" if scale == "published" else "[0, 1], as the authors of TACO gave it"
        self._distance = load_lpips(network, scale=scale, backbone=backbone, heads=heads)
        self.protocol = (
            f"LPIPS 0.1 of torchvision's {_TITLES[network]}, given {fed}; float32; "
            f"{BACKBONES[network].label}, {HEADS[network].label}"
        )


class StLpipsMetric(_LpipsBase):
    """ST-LPIPS, the shift-tolerant LPIPS, over AlexNet.

    Args:
        weights: The path of its weights, or None to look in the usual places.
    """

    def __init__(self, *, weights: str | os.PathLike[str] | None = None) -> None:
        from tacit.pretrained.catalogue import ST_LPIPS
        from tacit.pretrained.features import SMALLEST
        from tacit.pretrained.lpips import load_st_lpips

        self.name = "st-lpips"
        self.smallest = SMALLEST["shift-tolerant-alex"]
        self._distance = load_st_lpips(weights)
        self.protocol = f"ST-LPIPS vST0.0 of its AlexNet, given [-1, 1]; float32; {ST_LPIPS.label}"
