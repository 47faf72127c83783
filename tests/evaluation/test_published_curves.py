"""Curves that others have published."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest

from support.evaluations import two_codec_results
from tacit.evaluation.datasets import COMPLETE
from tacit.evaluation.published_curves import PublishedCurve, published_curves
from tacit.evaluation.report import formatting
from tacit.evaluation.report.markdown import markdown

CURVES = published_curves()


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: f"{c.name}-{c.dataset}-{c.metric}")
def test_a_curve_rises_and_names_its_source_and_the_origin_of_its_cost(curve: PublishedCurve) -> None:
    assert len(curve.rates) == len(curve.values) >= 5
    for series in (curve.rates, curve.values):
        assert all(a < b for a, b in pairwise(series))
    assert 0.02 < curve.rates[0] < curve.rates[-1] < 1.5
    low, high = {"psnr": (24, 45), "ms-ssim": (0.8, 1)}[curve.metric]
    assert all(low < value < high for value in curve.values)
    assert "commit " in curve.source
    assert curve.cost is None or (curve.cost.source and all(0 < value < 2000 for value in curve.cost.kmac))
    assert curve.dataset in COMPLETE


def test_labels_are_unique_within_a_set_and_metric() -> None:
    keys = [(curve.label, curve.dataset, curve.metric) for curve in CURVES]
    assert len(set(keys)) == len(keys)


def test_the_report_tells_costs_and_sources_and_takes_a_published_anchor() -> None:
    found = dataclasses.replace(two_codec_results(), anchor="VTM, published")
    psnr = found.metrics[0]
    said = markdown(found)
    assert "ELIC, published: He et al., ELIC, CVPR 2022" in said
    assert "It costs 574 kMAC a pixel (Li et al." in said
    assert "differences from VTM, published" in said
    table = formatting.difference_table(found, "Kodak", psnr)
    assert table is not None
    codecs = [row[0] for row in table[1]]
    assert codecs[:2] == ["jpeg", "tacit-s"]
    assert "HPCM-Base, published" in codecs
    assert "VTM, published" not in codecs
