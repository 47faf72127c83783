"""Distances between two images in the features of image networks: metrics, and losses with gradients.

Both modules here take images x, y [B, 3, H, W], RGB in [0, 1], and return [B]; nothing in them is trained. They are
made from tensors; `load_lpips` and `load_feature_distance` find and verify the published ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from tacit import pretrained
from tacit.errors import CorruptWeights, InvalidInput
from tacit.pretrained import Pretrained

Network = Literal["alex", "vgg", "squeeze"]
NETWORKS: tuple[Network, ...] = get_args(Network)

Scale = Literal["published", "taco"]
"""What LPIPS's first layer is given: "published" is [-1, 1], LPIPS's own convention; "taco" is [0, 1], which is what
the authors of TACO gave it in training and evaluation."""

_TORCHVISION = "https://download.pytorch.org/models/"
BACKBONES: Mapping[Network, Pretrained] = MappingProxyType(
    {
        "alex": Pretrained(
            "LPIPS (AlexNet)",
            "alexnet-owt-7be5be79.pth",
            _TORCHVISION + "alexnet-owt-7be5be79.pth",
            244_408_911,
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        ),
        "vgg": Pretrained(
            "LPIPS (VGG-16)",
            "vgg16-397923af.pth",
            _TORCHVISION + "vgg16-397923af.pth",
            553_433_881,
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        "squeeze": Pretrained(
            "LPIPS (SqueezeNet 1.1)",
            "squeezenet1_1-b8a52dc0.pth",
            _TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
            4_958_839,
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        ),
    }
)


def _head(network: Network, size: int, sha256: str) -> Pretrained:
    return Pretrained(
        f"LPIPS ({network}), its linear layers v0.1",
        f"lpips-v0.1-{network}.pth",
        f"https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/{network}.pth",
        size,
        sha256,
        (("lpips", f"weights/v0.1/{network}.pth"), ("torchmetrics", f"functional/image/lpips_models/{network}.pth")),
    )


HEADS: Mapping[Network, Pretrained] = MappingProxyType(
    {
        "alex": _head("alex", 6_009, "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
        "vgg": _head("vgg", 7_289, "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
        "squeeze": _head("squeeze", 10_811, "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
    }
)

# Not the weights that LPIPS's squeeze layers were fitted to; what is computed from it is never called LPIPS.
SQUEEZENET = Pretrained(
    "SqueezeNet 1.1 of Keras",
    "squeezenet1_1_features_keras.safetensors",
    "github.com/DeepCognition/keras-squeezenet (MIT), its tf_kernels_notop.h5 with kernels as OIHW under torchvision's "
    "names",
    2_894_528,
    "17ade4a842f9fd2c6a8ed528db57d9d6ade98613c5e7508e887147b9f2da36ca",
)

# The least height and width that leave one position in the last features.
SMALLEST: Mapping[Network, int] = MappingProxyType({"alex": 31, "vgg": 16, "squeeze": 17})


class Features(nn.Module):
    """A network without its classifier, as the stages whose outputs are compared.

    tensors: by torchvision's names, with or without the prefix `features.`; what belongs to the classifier is left.

    Raises:
        CorruptWeights: the tensors are not that network's.
    """

    def __init__(self, network: Network, tensors: Mapping[str, Tensor]) -> None:
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
        """The features of each stage, one after the other, so that not all of them need be held. x as the network wants
        it."""
        for stage in self.stages:
            x = stage(x)
            yield x


class Lpips(nn.Module):
    """Learned perceptual image patch similarity, version 0.1.

    heads: `lin{i}.model.1.weight` [1, C, 1, 1] for each stage.
    Source: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018.

    Raises:
        CorruptWeights: the heads are not those of this network.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, features: Features, heads: Mapping[str, Tensor], scale: Scale = "published") -> None:
        super().__init__()
        if scale not in get_args(Scale):
            raise InvalidInput(f"scale {scale!r}; there are {', '.join(get_args(Scale))}")
        self.features = features
        names = [f"lin{i}.model.1.weight" for i in range(len(features.stages))]
        if set(heads) != set(names):
            raise CorruptWeights(f"the linear layers {', '.join(sorted(heads))} are not those of {features.network}")
        self.heads = nn.ParameterList(nn.Parameter(heads[name], requires_grad=False) for name in names)
        # The constants are those of [-1, 1]; given [0, 1], they are left as they are in the scale of TACO.
        self._double = scale == "published"
        self.register_buffer("shift", torch.tensor((-0.030, -0.088, -0.188)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor((0.458, 0.448, 0.450)).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """[B], 0 for equal images; lower is nearer."""
        _check(x, y, self.features.network)
        pairs = zip(self.features(self._scaled(x)), self.features(self._scaled(y)), self.heads, strict=True)
        terms = [((_unit(a) - _unit(b)).square() * head).sum(1).mean(dim=(1, 2)) for a, b, head in pairs]
        return torch.stack(terms).sum(0)

    def _scaled(self, x: Tensor) -> Tensor:
        x = 2 * x - 1 if self._double else x
        scaled: Tensor = (x - self.shift) / self.scale
        return scaled


class FeatureDistance(nn.Module):
    """The mean squared distance between the directions of SqueezeNet's features, with no fitted layers: over all
    positions of a stage, then over its seven stages. 0 for equal images, at most 2."""

    mean: Tensor

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("mean", torch.tensor((103.939, 116.779, 123.68)).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """[B]; lower is nearer."""
        _check(x, y, self.features.network)
        pairs = zip(self.features(self._scaled(x)), self.features(self._scaled(y)), strict=True)
        terms = [(_unit(a) - _unit(b)).square().sum(1).mean(dim=(1, 2)) for a, b in pairs]
        return torch.stack(terms).mean(0)

    def embed(self, x: Tensor) -> Tensor:
        """[B, 512]: the last features' average over all positions."""
        *_, last = self.features(self._scaled(x))
        pooled: Tensor = last.mean(dim=(2, 3))
        return pooled

    def _scaled(self, x: Tensor) -> Tensor:
        # As Keras trained it: blue, green, red, 0 to 255, less the means.
        scaled: Tensor = 255 * x.flip(1) - self.mean
        return scaled


def load_lpips(
    network: Network = "alex",
    *,
    scale: Scale = "published",
    backbone: str | os.PathLike[str] | None = None,
    heads: str | os.PathLike[str] | None = None,
) -> Lpips:
    """LPIPS with the published weights; backbone, heads: their paths, if they are not where `pretrained` looks.

    Raises:
        InvalidInput: an unknown network or scale.
        MissingWeights: a file is not on this machine.
        CorruptWeights: a file is not the published one.
    """
    if network not in NETWORKS:
        raise InvalidInput(f"network {network!r}; there are {', '.join(NETWORKS)}")
    features = Features(network, pretrained.load(BACKBONES[network], backbone))
    return Lpips(features, pretrained.load(HEADS[network], heads), scale)


def load_feature_distance(path: str | os.PathLike[str] | None = None) -> FeatureDistance:
    """The distance by Keras's SqueezeNet; path: its weights, if they are not where `pretrained` looks.

    Raises:
        MissingWeights: the file is not on this machine.
        CorruptWeights: it is another one.
    """
    return FeatureDistance(Features("squeeze", pretrained.load(SQUEEZENET, path)))


def _check(x: Tensor, y: Tensor, network: Network) -> None:
    if x.ndim != 4 or x.shape[1] != 3 or x.shape != y.shape:
        raise InvalidInput(f"images {tuple(x.shape)} and {tuple(y.shape)}: two of [B, 3, H, W] are needed")
    if min(x.shape[2:]) < SMALLEST[network]:
        raise InvalidInput(f"{network} needs {SMALLEST[network]} pixels a side or more, not {x.shape[3]}x{x.shape[2]}")


def _unit(features: Tensor) -> Tensor:
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
    """Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014."""
    layers = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )
    return layers, (2, 5, 8, 10, 12)


def _vgg() -> tuple[nn.Sequential, tuple[int, ...]]:
    """Source: Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015, configuration D."""
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
    """Source: Iandola et al., SqueezeNet, 2016, version 1.1."""
    layers = nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(64, 16, 64), _Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(128, 32, 128), _Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256)),
    )
    return layers, (2, 5, 8, 10, 11, 12, 13)


_ARCHITECTURES = MappingProxyType({"alex": _alexnet, "vgg": _vgg, "squeeze": _squeezenet})
