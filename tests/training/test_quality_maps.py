"""Qualities that vary over a crop."""

from __future__ import annotations

import torch

from tacit.training.quality_maps import random_quality_maps


def test_maps_of_the_quality() -> None:
    quality = torch.tensor([50.0, 50.0, 2.0, 99.0]).repeat(50)
    seeds = torch.arange(200)
    maps = random_quality_maps(quality, seeds, 192, 0.5, 30.0)
    assert maps.shape == (200, 12, 12)
    assert torch.equal(maps, maps[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2))  # of hyper-latents
    assert maps.min() >= 0
    assert maps.max() <= 100
    varied = (maps != quality[:, None, None]).any(dim=2).any(dim=1)
    assert 70 < int(varied.sum()) < 130
    assert 20 < float((maps - quality[:, None, None]).abs().max()) <= 30
    assert torch.equal(
        maps[7], random_quality_maps(quality[7:8], seeds[7:8], 192, 0.5, 30.0)[0]
    )  # its own, whatever the batch
    assert torch.equal(random_quality_maps(quality, seeds, 192, 0.0, 30.0), quality[:, None, None].expand(-1, 12, 12))
