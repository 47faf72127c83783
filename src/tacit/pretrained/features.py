"""Image classification networks without their classifiers, as stages whose outputs are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.errors import CorruptWeights, InvalidInput
from tacit.pretrained.catalogue import Network, ShiftTolerant

# The least height and width that leave one position in the last features.
SMALLEST: Mapping[Network | ShiftTolerant, int] = MappingProxyType(
    {"alex": 31, "vgg": 16, "squeeze": 17, "shift-tolerant-alex": 21}
)


class FeatureStages(nn.Module):
    """A network without its classifier, cut into stages; nothing in it is trained.

    Args:
        network: Which network it is.
        tensors: Its weights by torchvision's names, with or without the prefix `features.`; the classifier's are
            ignored.

    Raises:
        CorruptWeights: The tensors are not that network's.
    """

    def __init__(self, network: Network | ShiftTolerant, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers, ends = _ARCHITECTURES[network]()
        own = {k.removeprefix("features."): v for k, v in tensors.items() if not k.startswith("classifier.")}
        try:
            layers.load_state_dict(own)
        except RuntimeError as error:
            raise CorruptWeights(f"not the weights of {network}: {str(error).splitlines()[-1].strip()}") from error
        starts = (0, *ends[:-1])
        self.stages = nn.ModuleList(layers[start:end] for start, end in zip(starts, ends, strict=True))
        self.network = network
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the features of each stage, one after the other, so that not all of them have to be kept.

        Args:
            x: [B, 3, H, W], scaled as this network was trained on.
        """
        for stage in self.stages:
            x = stage(x)
            yield x


def check_images(x: Tensor, y: Tensor, network: Network | ShiftTolerant) -> None:
    """Check that x and y are two batches of images of one size, large enough for a network.

    Raises:
        InvalidInput: They are not.
    """
    if x.ndim != 4 or x.shape[1] != 3 or x.shape != y.shape:
        raise InvalidInput(
            f"images must be two batches [B, 3, H, W] of one shape, got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if min(x.shape[2:]) < SMALLEST[network]:
        raise InvalidInput(
            f"images must have {SMALLEST[network]} pixels a side or more for {network}, got {x.shape[3]}x{x.shape[2]}"
        )


def unit_length(features: Tensor) -> Tensor:
    """Scale features [B, C, H, W] so that the vector at each position has length one."""
    # vector_norm has the gradient 0 where all features are 0; a square root would have none.
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + 1e-10)


# -- architectures, by the indices of torchvision's `features` ---------------------------------------------------------


class _Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


def _alexnet() -> tuple[nn.Sequential, tuple[int, ...]]:
    """Build AlexNet's layers, and return them with the index at which each stage ends.

    Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014.
    """
    layers = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )
    return layers, (2, 5, 8, 10, 12)


class _HalvingBlur(nn.Module):
    """Blurs each channel with weights of 1, 2, 1 in both directions, and takes every second value."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A part of the published weights, though it is the same in all of them.
        weights = torch.tensor((1.0, 2.0, 1.0))
        self.register_buffer("filt", (torch.outer(weights, weights) / 16).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


def _shift_tolerant_alexnet() -> tuple[nn.Sequential, tuple[int, ...]]:
    """Build the layers of ST-LPIPS's AlexNet, and return them with the index at which each stage ends.

    Source: Ghildyal and Liu, Shift-tolerant Perceptual Similarity Metric, ECCV 2022.
    """
    layers = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, padding=2), _HalvingBlur(64), nn.ReLU()),
        *(nn.MaxPool2d(3, 1), _HalvingBlur(64), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 1), _HalvingBlur(192), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )
    return layers, (3, 7, 11, 13, 15)


def _vgg() -> tuple[nn.Sequential, tuple[int, ...]]:
    """Build VGG-16's layers, and return them with the index at which each stage ends.

    Source: Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015, configuration D.
    """
    layers: list[nn.Module] = []
    ends = []
    inputs = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(nn.MaxPool2d(2))
        for _ in range(depth):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        ends.append(len(layers))
    return nn.Sequential(*layers), tuple(ends)


def _squeezenet() -> tuple[nn.Sequential, tuple[int, ...]]:
    """Build SqueezeNet 1.1's layers, and return them with the index at which each stage ends.

    Source: Iandola et al., SqueezeNet, 2016, version 1.1.
    """
    layers = nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(64, 16, 64), _Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(128, 32, 128), _Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256)),
    )
    return layers, (2, 5, 8, 10, 11, 12, 13)


_ARCHITECTURES = MappingProxyType(
    {"alex": _alexnet, "vgg": _vgg, "squeeze": _squeezenet, "shift-tolerant-alex": _shift_tolerant_alexnet}
)
