"""LPIPS, a distance between images in the features of a network: a metric, and a loss with gradients."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from tacit.errors import CorruptWeights, InvalidInput
from tacit.pretrained import loading
from tacit.pretrained.catalogue import BACKBONES, HEADS, NETWORKS, ST_LPIPS, Network
from tacit.pretrained.features import FeatureStages, check_images, unit_length

Scale = Literal["published", "taco"]
"""The range of values that LPIPS is fed with: "published" is [-1, 1], LPIPS's own convention; "taco" is [0, 1], which
the authors of TACO fed it with in training and evaluation."""


class Lpips(nn.Module):
    """Learned perceptual image patch similarity, version 0.1.

    Source: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018.

    Args:
        features: The network.
        heads: The fitted layers: `lin{i}.model.1.weight` [1, C, 1, 1] for each stage of the network.
        scale: The range of values that the network is fed with.

    Raises:
        CorruptWeights: The heads are not those of this network.
        InvalidInput: The scale is not known.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, features: FeatureStages, heads: Mapping[str, Tensor], scale: Scale = "published") -> None:
        super().__init__()
        if scale not in get_args(Scale):
            raise InvalidInput(f"scale must be one of {', '.join(get_args(Scale))}, got {scale!r}")
        self.features = features
        names = [f"lin{i}.model.1.weight" for i in range(len(features.stages))]
        if set(heads) != set(names):
            raise CorruptWeights(f"the linear layers {', '.join(sorted(heads))} are not those of {features.network}")
        self.heads = nn.ParameterList(nn.Parameter(heads[name], requires_grad=False) for name in names)
        # The constants are those of [-1, 1]; in TACO's scale the values stay in [0, 1], and so do the constants.
        self._double = scale == "published"
        self.register_buffer("shift", torch.tensor((-0.030, -0.088, -0.188)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor((0.458, 0.448, 0.450)).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distance of each pair of images.

        Args:
            x: [B, 3, H, W], RGB in [0, 1].
            y: The same shape.

        Returns:
            [B], 0 for equal images; lower is nearer.

        Raises:
            InvalidInput: Other shapes, or images too small for the network.
        """
        check_images(x, y, self.features.network)
        return self.between(self.unit_features(x), self.unit_features(y))

    def unit_features(self, x: Tensor) -> list[Tensor]:
        """Return the features of images [B, 3, H, W] after each stage, of length 1 at every place."""
        return [unit_length(stage) for stage in self.features(self._scaled(x))]

    def between(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Return the distances of images [B] by their unit features."""
        terms = [
            ((one - other).square() * head).sum(1).mean(dim=(1, 2))
            for one, other, head in zip(a, b, self.heads, strict=True)
        ]
        return torch.stack(terms).sum(0)

    def _scaled(self, x: Tensor) -> Tensor:
        x = 2 * x - 1 if self._double else x
        scaled: Tensor = (x - self.shift) / self.scale
        return scaled


def load_lpips(
    network: Network = "alex",
    *,
    scale: Scale = "published",
    backbone: str | os.PathLike[str] | None = None,
    heads: str | os.PathLike[str] | None = None,
) -> Lpips:
    """Load LPIPS with the published weights.

    Args:
        network: Which network's features are compared.
        scale: The range of values that the network is fed with.
        backbone: The path of the network's weights, or None to look in the usual places.
        heads: The path of the fitted layers, or None to look in the usual places.

    Raises:
        InvalidInput: The network or the scale is not known.
        MissingWeights: A file is not on this machine.
        CorruptWeights: A file is not the published one.
    """
    if network not in NETWORKS:
        raise InvalidInput(f"network must be one of {', '.join(NETWORKS)}, got {network!r}")
    features = FeatureStages(network, loading.load(BACKBONES[network], backbone))
    return Lpips(features, loading.load(HEADS[network], heads), scale)


def load_st_lpips(path: str | os.PathLike[str] | None = None) -> Lpips:
    """Load the shift-tolerant LPIPS with its published weights, over AlexNet.

    It differs from LPIPS in the network, whose features hardly change where an image is moved by a pixel, and in its
    weights; distances are computed alike.

    Source: Ghildyal and Liu, Shift-tolerant Perceptual Similarity Metric, ECCV 2022.

    Args:
        path: The path of the weights, or None to look in the usual places.

    Raises:
        MissingWeights: The file is not on this machine.
        CorruptWeights: The file is not the published one.
    """
    tensors = loading.load(ST_LPIPS, path)
    heads = {name: value for name, value in tensors.items() if name.startswith("lin")}
    own = {".".join(name.split(".")[2:]): value for name, value in tensors.items() if name.startswith("net.")}
    return Lpips(FeatureStages("shift-tolerant-alex", own), heads)
