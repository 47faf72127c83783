"""Plots of curves."""

from __future__ import annotations

import dataclasses
import re

import pytest

from support.evaluations import check_html, two_codec_results
from tacit.evaluation import plots
from tacit.evaluation.measurements import Measurements
from tacit.evaluation.report.html import html


@pytest.mark.slow
def test_elics_curve_is_drawn_on_whole_kodak_only() -> None:
    pytest.importorskip("matplotlib")
    psnr = two_codec_results().metrics[0]
    whole = two_codec_results()
    rows = whole.measurements.rows
    for found, there in (
        (whole, True),
        # One file of one codec could not be made, so its image is in no curve; and a folder with one image less.
        (dataclasses.replace(whole, measurements=Measurements(rows[1:], (), ())), False),
        (dataclasses.replace(whole, measurements=Measurements(rows[8:], (), ())), False),
        (two_codec_results(name="CLIC"), False),
    ):
        dataset = found.datasets[0].name
        plot = plots.draw(found, dataset, psnr)
        assert plot is not None
        assert ("ELIC" in plot.svg) is there
        page = html(found, {dataset: [plot, plots.draw(found, dataset, psnr, log=True)]}, [])  # type: ignore[list-item]
        check_html(page)
        assert ("CVPR 2022" in page) is there


def test_a_plot_is_high_enough_for_the_legend_of_many_curves() -> None:
    pytest.importorskip("matplotlib")
    few = two_codec_results(name="mine")
    rows = few.measurements.rows
    names = [f"jpeg{i}" for i in range(30)]
    more = tuple(dataclasses.replace(row, codec=name) for row in rows if row.codec == "jpeg" for name in names)
    many = dataclasses.replace(
        few, codecs=dict.fromkeys(names, few.codecs["jpeg"]), measurements=Measurements(more, (), ())
    )
    heights = []
    for found in (few, many):
        plot = plots.draw(found, "mine", found.metrics[0])
        assert plot is not None
        view = re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', plot.svg)
        assert view is not None
        heights.append(float(view[1]))
    assert heights[0] == pytest.approx(4.6 * 72)
    assert heights[1] > 30 * 0.2 * 72


def test_plots_follow_the_colour_scheme_and_are_the_same_every_time() -> None:
    pytest.importorskip("matplotlib")
    found = two_codec_results()
    once, again = (plots.draw(found, "Kodak", found.metrics[0], log=True) for _ in range(2))
    assert once is not None
    assert once == again
    assert not re.findall(r"(?:stroke|fill): #(?!fff)", once.svg)  # all colours are variables
    assert "prefers-color-scheme:dark" in once.file
    assert once.file.startswith("<svg")
    assert "0.5" in once.svg  # ticks are numbers, not powers
