"""How far a set of decoded images is from the set of originals, as distributions of patches' features.

Patches are cut as HiFiC cut them: side by side from the upper left corner, and once more from half a patch further down
and right. Source: Mentzer et al., High-Fidelity Generative Image Compression, NeurIPS 2020, appendix A.7.

Both statistics depend on how many patches there are, Fréchet's strongly: compare only over the same images.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from tacit.errors import InvalidInput
from tacit.evaluation.metrics.metric import Described

if TYPE_CHECKING:
    import torch

Statistic = Callable[[np.ndarray, np.ndarray], float]
Path = str | os.PathLike[str] | None

_BATCH = 16  # patches through the network at once
_UNBIASED = "unbiased, over all pairs of patches"
_KEPT = 2048  # such batches whose features are kept: 256 MiB of Inception's at most


class Distribution(Described):
    """A statistic of two sets of features; higher is further apart."""

    level: ClassVar[Literal["set"]] = "set"

    def __init__(self, name: str, protocol: str, embed: Embedding, statistic: Statistic, patch: int) -> None:
        if patch < 32:
            raise InvalidInput(f"{name}: patches of {patch} pixels; 32 or more are needed")
        self.name = name
        self.protocol = f"{protocol}; patches of {patch}, and again from {patch // 2} further (HiFiC)"
        self.smallest = patch
        self._embed, self._statistic = embed, statistic
        self._reference: list[np.ndarray] = []
        self._decoded: list[np.ndarray] = []

    def update(self, reference: np.ndarray, decoded: np.ndarray) -> None:
        """Take in a pair, uint8 [H, W, 3] both."""
        self.check(reference, decoded)
        for images, features in ((reference, self._reference), (decoded, self._decoded)):
            patches = np.stack(list(cut(images, self.smallest)))
            features += [self._embed(patches[i : i + _BATCH]) for i in range(0, len(patches), _BATCH)]

    def compute(self) -> float:
        """Of all pairs so far.

        Raises:
            InvalidInput: fewer than two patches.
        """
        count = sum(map(len, self._reference))
        if count < 2:
            raise InvalidInput(f"{self.name} needs two patches of {self.smallest} pixels or more, not {count}")
        return self._statistic(np.concatenate(self._reference), np.concatenate(self._decoded))


def fid(*, patch: int = 256, weights: Path = None) -> Distribution:
    """Fréchet's distance of Inception's features; weights: their path."""
    network = _inception(_text(weights))
    return Distribution("fid", _inception_protocol(), network, frechet, patch)


def kid(*, patch: int = 256, weights: Path = None) -> Distribution:
    """The squared kernel distance (MMD) of Inception's features; weights: their path."""
    network = _inception(_text(weights))
    return Distribution("kid", f"{_inception_protocol()}; {_UNBIASED}", network, kernel, patch)


def squeezenet_frechet(*, patch: int = 128, weights: Path = None) -> Distribution:
    """Fréchet's distance of SqueezeNet's features: not FID."""
    network = _squeezenet(_text(weights))
    return Distribution("squeezenet-frechet", _squeezenet_protocol(), network, frechet, patch)


def squeezenet_kernel(*, patch: int = 128, weights: Path = None) -> Distribution:
    """The squared kernel distance (MMD) of SqueezeNet's features: not KID."""
    network = _squeezenet(_text(weights))
    return Distribution("squeezenet-kernel", f"{_squeezenet_protocol()}; {_UNBIASED}", network, kernel, patch)


def _inception_protocol() -> str:
    from tacit.pretrained.catalogue import INCEPTION

    return f"Inception v3 of 2015-12-05, TensorFlow's resize to 299; {INCEPTION.label}"


def _squeezenet_protocol() -> str:
    from tacit.pretrained.catalogue import SQUEEZENET

    return f"last features of Keras's SqueezeNet 1.1, averaged over each patch; {SQUEEZENET.label}"


def cut(image: np.ndarray, patch: int) -> Iterator[np.ndarray]:
    """The patches [P, P, 3] of an image [H, W, 3]."""
    height, width = image.shape[:2]
    for start in (0, patch // 2):
        for top in range(start, height - patch + 1, patch):
            for left in range(start, width - patch + 1, patch):
                yield image[top : top + patch, left : left + patch]


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Squared distance |mean difference|² + tr(Cx + Cy - 2 (Cx Cy)^½) of the Gaussians of x [N, D] and y [M, D].

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
    """R [min(N, D), D] of x [N, D], with RᵀR its covariance."""
    root: Any = np.linalg.qr((x - x.mean(0)) / np.sqrt(len(x) - 1), mode="r")
    return np.asarray(root)


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of MMD² with the kernel (a·b / D + 1)³, of x [N, D] and y [M, D]; can be below 0.

    Source: Bińkowski et al., Demystifying MMD GANs, ICLR 2018; over all pairs in place of random subsets, whose average
    it is the limit of.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    return _pairs(x) + _pairs(y) - 2 * _total(x, y) / (len(x) * len(y))


def _pairs(x: np.ndarray) -> float:
    """The kernel's mean over all pairs of different rows."""
    n = len(x)
    own = float(((np.square(x).sum(1) / x.shape[1] + 1) ** 3).sum())
    return (_total(x, x) - own) / (n * (n - 1))


def _total(x: np.ndarray, y: np.ndarray) -> float:
    """The kernel's sum over all pairs, in blocks of rows so that large sets need no large matrix."""
    return sum(float(((x[i : i + 1024] @ y.T / x.shape[1] + 1) ** 3).sum()) for i in range(0, len(x), 1024))


class Embedding:
    """A network's features of patches, kept for a while: originals come again with every codec and quality, and the
    two statistics of a network look at the same patches."""

    def __init__(self, network: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._network = network
        self._known: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def __call__(self, patches: np.ndarray) -> np.ndarray:
        """Patches [N, P, P, 3] uint8 -> features [N, D] float32."""
        import torch

        from tacit.evaluation.metrics.deep import unit_batch

        key = hashlib.sha256(repr(patches.shape).encode() + patches.tobytes()).digest()
        if key not in self._known:
            with torch.inference_mode():
                self._known[key] = self._network(unit_batch(patches)).numpy()
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _text(path: Path) -> str | None:
    return None if path is None else os.fspath(path)


@lru_cache(maxsize=1)
def _inception(weights: str | None) -> Embedding:
    from tacit.pretrained.inception import load_inception

    network = load_inception(weights)
    return Embedding(lambda x: network(255 * x))


@lru_cache(maxsize=1)
def _squeezenet(weights: str | None) -> Embedding:
    from tacit.pretrained.feature_distance import load_feature_distance

    return Embedding(load_feature_distance(weights).embed)
