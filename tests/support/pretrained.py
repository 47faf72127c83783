"""Networks of random weights, in place of those that others have trained, and images to compare with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from support.paths import DATA
from tacit.pretrained import features
from tacit.pretrained.catalogue import SQUEEZENET, Network
from tacit.pretrained.features import FeatureStages
from tacit.pretrained.inception import InceptionFeatures

CHANNELS = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


def random_features(network: Network, seed: int = 0) -> tuple[FeatureStages, dict[str, Tensor]]:
    """Return a network and its weights, sized so that values neither grow nor vanish through the layers."""
    layers, _ = features._ARCHITECTURES[network]()
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, value in layers.state_dict().items():
        fan = max(value[0].numel(), 1) if value.ndim > 1 else 100
        tensors[f"features.{name}"] = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
    return FeatureStages(network, tensors), tensors


def random_heads(network: Network) -> dict[str, Tensor]:
    """Return random layers of the shapes that LPIPS has for a network."""
    generator = torch.Generator().manual_seed(1)
    return {
        f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator) for i, c in enumerate(CHANNELS[network])
    }


def image_pair(size: int, seed: int = 2) -> tuple[Tensor, Tensor]:
    """Return two batches of images, the second a noisy version of the first."""
    x = torch.rand(2, 3, size, size + 9, generator=torch.Generator().manual_seed(seed))
    return x, (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1)


def noise_pair() -> tuple[Tensor, Tensor]:
    """Return the images of the example in torchmetrics' documentation of LPIPS."""
    generator = torch.Generator().manual_seed(42)
    return torch.rand(2, 3, 100, 100, generator=generator), torch.rand(2, 3, 100, 100, generator=generator)


def squeezenet() -> Path:
    """Return the path of SqueezeNet's weights; skips the test where they are not on this machine."""
    path = DATA.parent / "weights" / SQUEEZENET.file
    if not path.is_file():
        pytest.skip("SqueezeNet's weights are not here")
    return path


def inception_tensors() -> dict[str, torch.Tensor]:
    """Return weights for Inception that anyone can make: normal numbers, the seed made of each tensor's name."""

    class Shapes(InceptionFeatures):
        def load_state_dict(self, *_: Any, **__: Any) -> Any:
            pass

    tensors = {}
    for name, value in Shapes({}).state_dict().items():
        if not value.ndim:
            continue
        a = np.random.default_rng(list(name.encode())).standard_normal(tuple(value.shape), dtype=np.float32)
        if name.endswith("conv.weight"):
            a *= np.float32((2 / np.prod(value.shape[1:])) ** 0.5)
        elif name.endswith("running_var"):
            a = 1 + np.float32(0.1) * np.abs(a)
        elif name.endswith("bn.weight"):
            a = 1 + np.float32(0.1) * a
        else:
            a *= np.float32(0.1)
        tensors[name] = torch.from_numpy(a)
    return tensors
