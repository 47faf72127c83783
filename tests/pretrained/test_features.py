"""Networks as stages, and the distances computed from them as losses."""

from __future__ import annotations

import pytest
import torch

from support.pretrained import image_pair, random_features, random_heads
from tacit.errors import CorruptWeights, InvalidInput
from tacit.pretrained.catalogue import NETWORKS, Network
from tacit.pretrained.feature_distance import FeatureDistance
from tacit.pretrained.features import SMALLEST, FeatureStages
from tacit.pretrained.lpips import Lpips


@pytest.mark.parametrize("network", NETWORKS)
def test_the_names_of_torchvision(network: Network) -> None:
    _, tensors = random_features(network)
    FeatureStages(network, tensors | {"classifier.1.weight": torch.zeros(3)})
    with pytest.raises(CorruptWeights, match=f"not the weights of {network}"):
        FeatureStages(network, {k: v for k, v in tensors.items() if k != "features.0.bias"})
    first = {"alex": "features.10.weight", "vgg": "features.28.weight", "squeeze": "features.12.expand3x3.weight"}
    assert first[network] in tensors


@pytest.mark.parametrize("network", NETWORKS)
def test_a_loss_with_gradients(network: Network) -> None:
    features, _ = random_features(network)
    for distance in (Lpips(features, random_heads(network)), FeatureDistance(features)):
        assert not any(p.requires_grad for p in distance.parameters())
        x, y = image_pair(SMALLEST[network])
        decoded = y.clone().requires_grad_()
        before = distance(x, decoded)
        assert before.shape == (2,)
        before.sum().backward()
        assert decoded.grad is not None
        assert decoded.grad.isfinite().all()
        step = 1e-3 * decoded.grad / decoded.grad.abs().max()
        assert (distance(x, y - step) < before).all()
        assert distance(x, x).abs().max() == 0
        # Where every feature is zero the direction has no gradient; it must not be NaN.
        black = torch.zeros_like(x, requires_grad=True)
        distance(black, black).sum().backward()
        assert black.grad is not None
        assert black.grad.isfinite().all()
        with pytest.raises(InvalidInput, match=f"{SMALLEST[network]} pixels a side or more for {network}"):
            distance(x[:, :, :-1], y[:, :, :-1])
        with pytest.raises(InvalidInput, match="must be two batches"):
            distance(x, y[:1])
