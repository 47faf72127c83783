"""Patches and their features."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch

from support.metrics import jpeg, photo
from support.pretrained import squeezenet
from tacit.errors import InvalidInput
from tacit.evaluation.metrics import SetMetric, load_metric
from tacit.evaluation.metrics.patch_distance import PatchFeatures, cut_patches


def test_patches_are_those_of_hific() -> None:
    image = np.arange(7 * 9).reshape(7, 9, 1).repeat(3, axis=2)
    found = [(int(p[0, 0, 0]) // 9, int(p[0, 0, 0]) % 9) for p in cut_patches(image, 4)]
    assert found == [(0, 0), (0, 4), (2, 2)]  # and from (2, 2) no second one fits
    # Kodak: 2 x 3 patches of 256, and 1 x 2 of the shifted ones.
    assert len(list(cut_patches(np.zeros((512, 768, 3)), 256))) == 8
    assert len(list(cut_patches(np.zeros((256, 256, 3)), 256))) == 1


@pytest.mark.parametrize("name", ["squeezenet-frechet", "squeezenet-kernel"])
def test_statistics_of_squeezenets_features(name: str) -> None:
    values = []
    for quality in (5, 30, 90):
        metric = cast(SetMetric, load_metric(name, weights=squeezenet(), patch=64))
        assert (metric.name, metric.level, metric.smallest) == (name, "set", 64)
        for seed in range(2):
            metric.update(photo(seed=seed), jpeg(photo(seed=seed), quality))
        values.append(metric.compute())
    assert values == sorted(values, reverse=True)
    fresh = cast(SetMetric, load_metric(name, weights=squeezenet(), patch=64))
    with pytest.raises(InvalidInput, match="needs two patches of 64 pixels or more, got 0"):
        fresh.compute()
    with pytest.raises(InvalidInput, match=f"{name} needs 64 pixels a side or more, got 99x63"):
        fresh.update(photo(63, 99), photo(63, 99))
    fresh.update(photo(64, 64), photo(64, 64))
    with pytest.raises(InvalidInput, match="got 1"):
        fresh.compute()
    with pytest.raises(InvalidInput, match="32 pixels a side or more, got 8"):
        load_metric(name, weights=squeezenet(), patch=8)


def test_features_are_computed_once() -> None:
    calls = []

    def network(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x.mean(dim=(2, 3))

    embed = PatchFeatures(network)
    patches = np.stack([photo(64, 64), photo(64, 64, 1)])
    first = embed(patches)
    assert embed(patches.copy()) is first
    assert embed(255 - patches).sum() == pytest.approx(6 - first.sum(), rel=1e-4)
    assert calls == [2, 2]
