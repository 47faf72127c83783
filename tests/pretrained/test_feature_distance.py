"""The distance by SqueezeNet's features."""

from __future__ import annotations

import torch

from support.pretrained import squeezenet
from tacit.pretrained.feature_distance import load_feature_distance


def test_the_feature_distance_orders_distortions() -> None:
    distance = load_feature_distance(squeezenet())
    x = torch.nn.functional.interpolate(
        torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), scale_factor=12
    )
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    values = [distance(x, (x + s * noise).clamp(0, 1)).item() for s in (0.01, 0.03, 0.1, 0.3)]
    assert values == sorted(values)
    assert 0 < values[0] < values[-1] < 2
    # A change of brightness, large as an error, is a small change of content.
    assert (0.1 * x).square().mean() > (0.03 * noise).square().mean()
    assert distance(x, 0.9 * x).item() < values[1]
    assert distance.embed(x).shape == (1, 512)
