"""Rate-distortion plots as SVG that follows the reader's colour scheme, by matplotlib."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from typing import Any

from tacit.errors import MissingExtra
from tacit.evaluation.results import MetricInfo, Results

# Light and dark, distinguishable with deficient colour vision, too; the first is for tacit's own models.
COLOURS = (
    ("#b3481c", "#f0915f"),
    ("#0b66b0", "#62b5f5"),
    ("#23823f", "#63cf86"),
    ("#8446b0", "#c69bea"),
    ("#957000", "#dcb83c"),
    ("#b83274", "#f489bb"),
    ("#007f7f", "#4fd0d0"),
    ("#4d5566", "#abb4c6"),
)
INK, SOFT, LINE = ("#1c1d20", "#e9e8e4"), ("#63656b", "#a2a4ab"), ("#e2dfd8", "#34363c")
MARKERS = "osD^vP*X"
# Of published curves.
DASHES: tuple[Any, ...] = (
    *("--", "-.", ":"),
    *((0, (9, 3)), (0, (1, 4)), (0, (3, 1, 1, 1, 1, 1)), (0, (6, 1, 1, 1)), (0, (2, 4)), (0, (12, 2, 1, 2))),
)
SIZE = (8.8, 4.6)  # inches
ENTRY = 0.21  # inches of the legend for each curve, which a plot of many curves is made higher for

# matplotlib draws with these colours; a style sheet's variables then take their place.
_STANDINS: Mapping[str, str] = {
    "#010101": "--ink",
    "#020202": "--soft",
    "#030303": "--line",
    **{f"#0400{i:02x}": f"--c{i}" for i in range(len(COLOURS))},
}


@dataclass(frozen=True)
class Plot:
    """A plot of one metric over the rate, for one data set."""

    metric: str
    """The metric's name."""
    log: bool
    """Whether the rate's axis is logarithmic."""
    svg: str
    """The plot as an SVG element whose colours are `variables()`."""
    digest: str
    """A hash of what the plot shows."""

    @property
    def file(self) -> str:
        """The plot as the contents of an SVG file, which holds its colours and the hash."""
        light = ";".join(f"{name}:{colours[0]}" for name, colours in variables().items())
        dark = ";".join(f"{name}:{colours[1]}" for name, colours in variables().items())
        style = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
        head, rest = self.svg.split(">", 1)
        return f"{head}>{mark(self.digest)}{style}{rest}"


def mark(digest: str) -> str:
    """Return the comment by which a plot's file tells what it shows."""
    return f"<!-- of {digest} -->"


def variables() -> dict[str, tuple[str, str]]:
    """Return colours, light and dark, by the names that plots use."""
    return {"--ink": INK, "--soft": SOFT, "--line": LINE, **{f"--c{i}": c for i, c in enumerate(COLOURS)}}


def colour_of(results: Results) -> Mapping[str, int]:
    """Return each codec's colour: tacit's models come first, and the first colour is for them alone."""
    names = sorted(results.codecs, key=lambda name: not results.is_own(name))
    first = 0 if any(map(results.is_own, results.codecs)) else 1
    return {name: i % len(COLOURS) for i, name in enumerate(names, first)}


def problem() -> str | None:
    """Return why there can be no plots, or None."""
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        return "plots need matplotlib: pip install 'tacit[eval]'"
    return None


def digest(results: Results, dataset: str, metric: MetricInfo) -> str:
    """Return a hash of all that a plot shows, by which an earlier plot is checked."""
    shown = (
        results.curves_of(dataset, metric),
        [(c.label, c.rates, c.values) for c in results.published(dataset, metric)],
    )
    return hashlib.sha256(json.dumps([dataset, metric.name, *shown]).encode()).hexdigest()[:32]


def draw(results: Results, dataset: str, metric: MetricInfo, *, log: bool = False) -> Plot | None:
    """Draw all codecs' curves of a metric, with published curves; None where no codec has the metric.

    Lines of tacit's models are stronger. One with captions is dashed, over that of the same model without. Published
    curves are dashed and have no markers.

    Args:
        results: The results.
        dataset: The data set's name.
        metric: The metric.
        log: Whether the rate's axis is logarithmic.

    Raises:
        MissingExtra: Matplotlib is not installed.
    """
    curves = results.curves_of(dataset, metric)
    if not curves:
        return None
    if (why := problem()) is not None:
        raise MissingExtra(why)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tacit", "font.family": "sans-serif", "font.size": 10}):
        beside = results.published(dataset, metric)
        height = max(SIZE[1], ENTRY * (len(curves) + len(beside) + 2))
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        axes: Any = figure.subplots()
        colours = colour_of(results)
        for i, (name, (rates, values)) in enumerate(curves.items()):
            own = results.is_own(name)
            # The curve with captions may lie on that of the same model without, which must stay visible.
            over = results.codecs[name].get("captions", "none") != "none"
            axes.plot(
                rates,
                values,
                color=f"#0400{colours[name]:02x}",
                # Colours and markers repeat after eight, but not together.
                marker="" if over else MARKERS[(i + i // len(MARKERS)) % len(MARKERS)],
                markersize=4,
                linestyle=(0, (2, 3)) if over else "-",
                linewidth=2.2 if own else 1.4,
                label=name,
                zorder=2 + own + over,
            )
        for curve, dashes in zip(beside, cycle(DASHES), strict=False):
            axes.plot(curve.rates, curve.values, color="#020202", linestyle=dashes, linewidth=1.2, label=curve.label)
        all_rates = [rate for rates in (*(r for r, _ in curves.values()), *(c.rates for c in beside)) for rate in rates]
        _dress(axes, metric, log, min(all_rates), max(all_rates))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = inline_svg(stream.getvalue(), f"{metric.name} over bits per pixel, {dataset}")
    return Plot(metric.name, log, svg, digest(results, dataset, metric))


def _dress(axes: Any, metric: MetricInfo, log: bool, lowest: float, highest: float) -> None:
    """Label and colour the axes, for rates from `lowest` to `highest`."""
    if log:
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        axes.set_xscale("log")
        ticks = [2.0**k for k in range(math.floor(math.log2(lowest)), math.ceil(math.log2(highest)) + 1)]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
        axes.set_xlim(lowest / 1.06, highest * 1.06)
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel("bits per pixel" + (", logarithmic" if log else ""), color="#020202")
    axes.set_ylabel(f"{metric.name}{f' ({metric.unit})' if metric.unit else ''}", color="#020202")
    if not metric.higher_is_better:
        axes.invert_yaxis()  # better is up, in every plot
    axes.grid(color="#030303", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors="#020202", length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    # Beside the curves: below them there is no room for many.
    axes.figure.legend(frameon=False, labelcolor="#010101", loc="outside right upper")


def inline_svg(svg: str, label: str) -> str:
    """Return the SVG element alone, scaling with its place on a page, and with variables for colours."""
    svg = svg[svg.index("<svg") :]
    for standin, name in _STANDINS.items():
        svg = svg.replace(standin, f"var({name})")
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Several plots are in one page, and matplotlib's ids would be the same in all of them.
    unique = f"p{zlib.crc32(svg.encode()):08x}"
    svg = re.sub(r'id="([^"]+)"', rf'id="{unique}-\g<1>"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{unique}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)


def all_plots(results: Results, dataset: str) -> Sequence[Plot]:
    """Draw every metric of a data set, with a linear and with a logarithmic axis."""
    drawn = [
        draw(results, dataset, metric, log=log)
        for metric in results.metrics
        if not metric.is_rate
        for log in (False, True)
    ]
    return [plot for plot in drawn if plot is not None]
