"""LPIPS as a metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.metrics import image_metric


def test_lpips_says_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(network: str, scale: str, **_: Any) -> Any:
        return lambda x, y: (x - y).abs().mean(dim=(1, 2, 3)) * (1 if scale == "taco" else 2)

    monkeypatch.setattr("tacit.pretrained.lpips.load_lpips", load)
    ours, theirs = image_metric("lpips-alex"), image_metric("lpips-alex-taco")
    assert (ours.name, theirs.name) == ("lpips-alex", "lpips-alex-taco")
    assert "[-1, 1]" in ours.protocol
    assert "[0, 1]" in theirs.protocol
    assert "alexnet-owt-7be5be79.pth (sha256 7be5be791159472b), lpips-v0.1-alex.pth (sha256 df73285e" in ours.protocol
    black = np.zeros((40, 40, 3), np.uint8)
    assert ours(black, black + 255) == pytest.approx(2)
    assert theirs(black, black + 51) == pytest.approx(0.2)
