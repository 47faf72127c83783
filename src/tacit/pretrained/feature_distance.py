"""A distance between images in SqueezeNet's features, with no fitted layers: a metric, and a loss with gradients."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from tacit.pretrained import loading
from tacit.pretrained.catalogue import SQUEEZENET
from tacit.pretrained.features import FeatureStages, check_images, unit_length


class FeatureDistance(nn.Module):
    """The mean squared distance between the directions of SqueezeNet's features.

    The mean is taken over all positions of a stage, and then over the stages. The distance is 0 for equal images, and
    at most 2.
    """

    mean: Tensor

    def __init__(self, features: FeatureStages) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("mean", torch.tensor((103.939, 116.779, 123.68)).view(1, 3, 1, 1), persistent=False)

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
        pairs = zip(self.features(self.scaled(x)), self.features(self.scaled(y)), strict=True)
        terms = [(unit_length(a) - unit_length(b)).square().sum(1).mean(dim=(1, 2)) for a, b in pairs]
        return torch.stack(terms).mean(0)

    def embed(self, x: Tensor) -> Tensor:
        """Return the last features' average over all positions, [B, 512], of images [B, 3, H, W] in [0, 1]."""
        *_, last = self.features(self.scaled(x))
        pooled: Tensor = last.mean(dim=(2, 3))
        return pooled

    def scaled(self, x: Tensor) -> Tensor:
        """Return images [B, 3, H, W], RGB in [0, 1], in the form in which Keras trained the network.

        That is blue, green and red in 0 to 255, less the means.
        """
        scaled: Tensor = 255 * x.flip(1) - self.mean
        return scaled


def load_feature_distance(path: str | os.PathLike[str] | None = None) -> FeatureDistance:
    """Load the distance with the weights of Keras's SqueezeNet.

    Args:
        path: The path of the weights, or None to look in the usual places.

    Raises:
        MissingWeights: The file is not on this machine.
        CorruptWeights: The file is not the published one.
    """
    return FeatureDistance(FeatureStages("squeeze", loading.load(SQUEEZENET, path)))
