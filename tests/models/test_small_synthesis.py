"""The small synthesis, and its graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from support.small_models import CONFIG, small_synthesis, with_small_synthesis
from tacit import weights


@pytest.mark.parametrize("mapped", [False, True])
def test_the_graph_makes_what_the_network_makes(tiny_weights: Path, tmp_path: Path, mapped: bool) -> None:
    small = weights.load_onnx(with_small_synthesis(tiny_weights, tmp_path)).small
    assert small is not None
    chance = np.random.default_rng(0)
    latents = chance.integers(-60, 60, (2, CONFIG.channels, 5, 3), dtype=np.int16)
    quality = chance.uniform(0, 100, (2, 5, 3) if mapped else 2).astype(np.float32)
    with torch.inference_mode():
        expected = small_synthesis()(torch.from_numpy(latents).float() / 16, torch.from_numpy(quality))
    for factor in (2, 4, 8):
        levels = small.reduced(latents, quality, factor)
        wanted = (expected[factor].clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy()
        assert levels.shape == (2, 80 // factor, 48 // factor, 3)
        assert np.abs(levels - wanted).max() < 0.51
        assert levels.std() > 5
        grey = small.reduced(latents, quality, factor, color=False)
        assert np.abs(grey - levels.mean(axis=-1, keepdims=True)).max() <= 0.5


def test_only_the_factors_that_are_asked_for_are_made() -> None:
    net = small_synthesis()
    made = net(torch.ones(1, CONFIG.channels, 2, 2), torch.tensor([50.0]), [4])
    assert made.keys() == {4}
