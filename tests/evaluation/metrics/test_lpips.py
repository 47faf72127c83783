"""LPIPS as a metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import Tensor

from support.metrics import image_metric


class Mean:
    """Stands for LPIPS: the feature of an image is its mean, and the distance that of means, times a factor."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.seen: list[float] = []

    def unit_features(self, x: Tensor) -> list[Tensor]:
        mean = x.mean(dim=(1, 2, 3))
        self.seen.append(mean.item())
        return [mean]

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return self.factor * (a[0] - b[0]).abs()


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> list[Mean]:
    made: list[Mean] = []

    def load(network: str, scale: str, **_: Any) -> Mean:
        made.append(Mean(1 if scale == "taco" else 2))
        return made[-1]

    monkeypatch.setattr("tacit.pretrained.lpips.load_lpips", load)
    return made


@pytest.mark.usefixtures("means")
def test_lpips_says_what_it_was_given() -> None:
    ours, theirs = image_metric("lpips-alex"), image_metric("lpips-alex-taco")
    assert (ours.name, theirs.name) == ("lpips-alex", "lpips-alex-taco")
    assert "[-1, 1]" in ours.protocol
    assert "[0, 1]" in theirs.protocol
    assert "alexnet-owt-7be5be79.pth (sha256 7be5be791159472b), lpips-v0.1-alex.pth (sha256 df73285e" in ours.protocol
    black = np.zeros((40, 40, 3), np.uint8)
    assert ours(black, black + 255) == pytest.approx(2)
    assert theirs(black, black + 51) == pytest.approx(0.2)


def test_features_of_one_reference_are_computed_once(means: list[Mean]) -> None:
    metric = image_metric("lpips-alex")
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    black.flags.writeable = white.flags.writeable = False
    grey = black + 51
    assert [metric(one, grey) for one in (black, black, white, black)] == pytest.approx([0.4, 0.4, 1.6, 0.4])
    assert means[0].seen == pytest.approx([0.2, 0, 0.2, 0.2, 1, 0.2, 0])


@pytest.mark.usefixtures("means")
def test_a_reference_that_may_change_is_looked_at_anew() -> None:
    metric = image_metric("lpips-alex")
    reference, grey = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 51, np.uint8)
    assert metric(reference, grey) == pytest.approx(0.4)
    reference[:] = 51
    assert metric(reference, grey) == 0
