"""Plots of studies, which matplotlib draws as SVG: points with error bars."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from tacit.evaluation.plots import COLOURS, MARKERS

Values = Mapping[str, Any]


def draw(result: Values) -> dict[str, str]:
    """Return the plots of a study as SVG by their file names; none if matplotlib is not installed.

    Args:
        result: The values of the study's JSON file.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return {}
    svgs: dict[str, str] = {}
    if result["study"] == "ablation":
        for name, set_values in result["sets"].items():
            svgs[f"{name}-differences.svg"] = _differences(set_values["rate_percent"])
            for metric in set_values["rate_percent"]:
                svgs[f"{name}-{metric}.svg"] = _curves(set_values["points"], metric)
    elif result["study"] == "captions":
        for name, set_values in result["sets"].items():
            svgs[f"{name}.svg"] = _comparisons(set_values["comparisons"])
    elif result["study"] == "oracle":
        for name, set_values in result["sets"].items():
            svgs[f"{name}-gains.svg"] = _region_gains(set_values["comparisons"])
    elif result["study"] == "steering":
        gains = {title: result[key] for title, key in (("mosaics", "mosaics"), ("phrases", "regions")) if result[key]}
        svgs["gains.svg"] = _gains(gains)
    return svgs


def _differences(rates: Mapping[str, Mapping[str, Sequence[float | None]]]) -> str:
    """Draw a row for each variant, with a point for each metric; bars are the range over seeds."""
    variants = list(next(iter(rates.values()), {}))
    series = {}
    for metric, by_variant in rates.items():
        by_seed = {variant: [x for x in by_variant[variant] if x is not None] for variant in variants}
        series[metric] = {variant: (fmean(x), min(x), max(x)) for variant, x in by_seed.items() if x}
    return _point_rows(variants, series, "bits for equal quality, per cent; bars: range over seeds")


def _comparisons(comparisons: Sequence[Values]) -> str:
    rows = list(dict.fromkeys(f"{c['told']}\nagainst {c['against']}" for c in comparisons))
    series: dict[str, dict[str, tuple[float, float, float]]] = {}
    for c in comparisons:
        if c["t"] is not None:
            points = series.setdefault(c["metric"], {})
            points[f"{c['told']}\nagainst {c['against']}"] = (c["mean"], *c["t"])
    return _point_rows(rows, series, "bits for equal quality, per cent; bars: 95 % over images")


def _gains(gains: Mapping[str, Values]) -> str:
    words = {
        "named": "named, against\nno caption",
        "rest": "rest, against\nno caption",
        "contrast": "named more\nthan rest",
        "against_other": "named, against\nother words",
    }
    series = {
        title: {words[key]: (p["mean"], *p["t"]) for key, p in differences.items() if p["t"] is not None}
        for title, differences in gains.items()
    }
    return _point_rows(list(words.values()), series, "PSNR at equal bytes, dB; bars: 95 % interval")


def _region_gains(comparisons: Sequence[Values]) -> str:
    """Draw a row for each condition against no caption: the gain of PSNR in the box, and of the rest."""
    metrics = {"box psnr": "the box", "rest psnr": "the rest of the image"}
    rows = list(dict.fromkeys(c["test"] for c in comparisons))
    series: dict[str, dict[str, tuple[float, float, float]]] = {}
    for c in comparisons:
        if c["against"] == "no caption" and c["metric"] in metrics and c["gain"]["bootstrap"] is not None:
            series.setdefault(metrics[c["metric"]], {})[c["test"]] = (c["gain"]["mean"], *c["gain"]["bootstrap"])
    return _point_rows(rows, series, "PSNR at equal bytes against no caption, dB; bars: 95 % over images")


def _point_rows(rows: Sequence[str], series: Mapping[str, Mapping[str, tuple[float, float, float]]], label: str) -> str:
    """Draw points with bars in rows.

    Args:
        rows: The names of the rows, from the top.
        series: By series and row: the point, and the two ends of its bar.
        label: What the horizontal axis shows.
    """

    def paint(axes: Any) -> None:
        for i, (name, points) in enumerate(series.items()):
            shift = (i - (len(series) - 1) / 2) * 0.5 / max(1, len(series))
            own = [(rows.index(row) + shift, *values) for row, values in points.items()]
            axes.errorbar(
                [mean for _, mean, _, _ in own],
                [at for at, *_ in own],
                xerr=[[max(0.0, m - low) for _, m, low, _ in own], [max(0.0, high - m) for _, m, _, high in own]],
                **_style(i, name),
                linestyle="",
            )
        axes.axvline(0, color="#63656b", linewidth=1)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(label)

    return _svg(paint)


def _curves(points: Mapping[str, Sequence[Values]], metric: str) -> str:
    """Draw each variant's mean curve of a metric over bits per pixel; bars are the range over seeds."""

    def paint(axes: Any) -> None:
        for i, (variant, variant_points) in enumerate(points.items()):
            own = [(p["bpp"], [v for v in p["metrics"].get(metric, []) if v is not None]) for p in variant_points]
            own = [(rates, values) for rates, values in own if values]
            means = [fmean(values) for _, values in own]
            axes.errorbar(
                [fmean(rates) for rates, _ in own],
                means,
                yerr=[
                    [mean - min(values) for mean, (_, values) in zip(means, own, strict=True)],
                    [max(values) - mean for mean, (_, values) in zip(means, own, strict=True)],
                ],
                **_style(i, variant),
            )
        axes.set_xlabel("bits per pixel; bars: range over seeds")
        axes.set_ylabel(metric)

    return _svg(paint)


def _style(index: int, name: str) -> dict[str, Any]:
    return {
        "color": COLOURS[index % len(COLOURS)][0],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4,
        "linewidth": 1.4,
        "capsize": 3,
        "label": name,
    }


def _svg(paint: Callable[[Any], None]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tacit", "font.family": "sans-serif", "font.size": 10}):
        figure = Figure(figsize=(7.6, 4.6), layout="constrained", facecolor="white")
        axes: Any = figure.subplots()
        paint(axes)
        axes.grid(color="#e2dfd8", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
