"""FID in closed form."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from support.metrics import photo
from support.pretrained import inception_tensors
from tacit.evaluation.metrics import SetMetric, load_metric
from tacit.evaluation.metrics.fid import frechet_distance


def test_frechets_distance_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(x, x + np.arange(6)) == pytest.approx(55)
    # Of x and 3x: tr(C + 9C - 2 * 3C) = 4 tr C, and twice the mean.
    assert frechet_distance(x, 3 * x) == pytest.approx(4 * np.trace(np.cov(x.T)) + 4 * np.square(x.mean(0)).sum())
    linalg = pytest.importorskip("scipy.linalg")
    y = rng.standard_normal((300, 6)) @ rng.standard_normal((6, 6)) + 0.3
    c, d = np.cov(x.T), np.cov(y.T)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(c + d - 2 * linalg.sqrtm(c @ d).real)
    assert frechet_distance(x, y) == pytest.approx(expected)
    # With fewer patches than features the covariances are singular.
    assert frechet_distance(x[:4], x[:4]) == pytest.approx(0, abs=1e-8)


@pytest.mark.slow
def test_fid_of_equal_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.pretrained.loading.load", lambda *_: inception_tensors())
    metric = cast(SetMetric, load_metric("fid", weights="made up"))
    assert (metric.name, metric.level, metric.smallest, metric.higher_is_better) == ("fid", "set", 256, False)
    assert "patches of 256" in metric.protocol
    assert "pt_inception-2015-12-05-6726825d.pth (sha256 6726825d0af5f729)" in metric.protocol
    metric.update(photo(256, 512), photo(256, 512))
    assert metric.compute() == pytest.approx(0, abs=1e-6)
    metric.update(photo(256, 256), 255 - photo(256, 256))
    assert metric.compute() > 1e-3
