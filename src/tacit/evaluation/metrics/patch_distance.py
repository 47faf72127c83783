"""The distance of a set of decoded images from the originals, as distributions of patches' features.

Patches are cut as HiFiC cut them: side by side from the upper left corner, and once more from half a patch further down
and right. Source: Mentzer et al., High-Fidelity Generative Image Compression, NeurIPS 2020, appendix A.7.

Statistics of these features depend on how many patches there are, Fréchet's strongly, so values compare only over the
same images.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from tacit.errors import InvalidInput
from tacit.evaluation.metrics.metric import MetricBase
from tacit.evaluation.metrics.tensors import unit_batch
from tacit.pretrained.catalogue import INCEPTION, SQUEEZENET

if TYPE_CHECKING:
    import torch

Statistic = Callable[[np.ndarray, np.ndarray], float]
"""A distance between two sets of features, [N, D] and [M, D]."""

INCEPTION_PROTOCOL = f"Inception v3 of 2015-12-05, TensorFlow's resize to 299; {INCEPTION.label}"
SQUEEZENET_PROTOCOL = f"last features of Keras's SqueezeNet 1.1, averaged over each patch; {SQUEEZENET.label}"

_BATCH = 16  # patches through the network at once
_MAX_BATCHES = 2048  # batches whose features are kept: 256 MiB of Inception's at most


class PatchDistance(MetricBase):
    """A statistic of the features of all patches; higher is further apart.

    Args:
        name: The metric's name.
        protocol: What the features and the statistic are, in words.
        features: Computes the features of patches.
        statistic: Compares two sets of features.
        patch: The patches' height and width in pixels, 32 or more.

    Raises:
        InvalidInput: The patches are too small.
    """

    level: ClassVar[Literal["set"]] = "set"

    def __init__(self, name: str, protocol: str, features: PatchFeatures, statistic: Statistic, patch: int) -> None:
        if patch < 32:
            raise InvalidInput(f"{name}: patches must have 32 pixels a side or more, got {patch}")
        self.name = name
        self.protocol = f"{protocol}; patches of {patch}, and again from {patch // 2} further (HiFiC)"
        self.smallest = patch
        self._features, self._statistic = features, statistic
        self._reference: list[np.ndarray] = []
        self._decoded: list[np.ndarray] = []

    def update(self, reference: np.ndarray, decoded: np.ndarray) -> None:
        """Add an original and its decoded image, both [H, W, 3] uint8, to the set."""
        self.check(reference, decoded)
        for image, features in ((reference, self._reference), (decoded, self._decoded)):
            patches = np.stack(list(cut_patches(image, self.smallest)))
            features += [self._features(patches[i : i + _BATCH]) for i in range(0, len(patches), _BATCH)]

    def compute(self) -> float:
        """Return the statistic for all pairs so far.

        Raises:
            InvalidInput: There are fewer than two patches.
        """
        count = sum(map(len, self._reference))
        if count < 2:
            raise InvalidInput(f"{self.name} needs two patches of {self.smallest} pixels or more, got {count}")
        return self._statistic(np.concatenate(self._reference), np.concatenate(self._decoded))


def cut_patches(image: np.ndarray, patch: int) -> Iterator[np.ndarray]:
    """Yield the patches [P, P, 3] of an image [H, W, 3]."""
    height, width = image.shape[:2]
    for start in (0, patch // 2):
        for top in range(start, height - patch + 1, patch):
            for left in range(start, width - patch + 1, patch):
                yield image[top : top + patch, left : left + patch]


class PatchFeatures:
    """A network's features of patches, cached.

    Originals come again with every codec and quality, and the two statistics of a network look at the same patches.
    """

    def __init__(self, network: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._network = network
        self._cache: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def __call__(self, patches: np.ndarray) -> np.ndarray:
        """Return the features [N, D] float32 of patches [N, P, P, 3] uint8."""
        import torch

        key = hashlib.sha256(repr(patches.shape).encode() + patches.tobytes()).digest()
        if key not in self._cache:
            with torch.inference_mode():
                self._cache[key] = self._network(unit_batch(patches)).numpy()
            if len(self._cache) > _MAX_BATCHES:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]


def inception_features(weights: str | os.PathLike[str] | None) -> PatchFeatures:
    """Return the features of Inception v3; `weights` is its path, or None to look in the usual places."""
    return _inception(None if weights is None else os.fspath(weights))


def squeezenet_features(weights: str | os.PathLike[str] | None) -> PatchFeatures:
    """Return the features of SqueezeNet; `weights` is its path, or None to look in the usual places."""
    return _squeezenet(None if weights is None else os.fspath(weights))


@lru_cache(maxsize=1)
def _inception(weights: str | None) -> PatchFeatures:
    from tacit.pretrained.inception import load_inception

    network = load_inception(weights)
    return PatchFeatures(lambda x: network(255 * x))


@lru_cache(maxsize=1)
def _squeezenet(weights: str | None) -> PatchFeatures:
    from tacit.pretrained.feature_distance import load_feature_distance

    return PatchFeatures(load_feature_distance(weights).embed)
