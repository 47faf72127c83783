"""The report of an evaluation: one HTML file that needs nothing else, and Markdown with its plots beside it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from tacit import files
from tacit.errors import InvalidInput
from tacit.evaluation import plots
from tacit.evaluation.bjontegaard import Difference, rate_difference
from tacit.evaluation.codecs import Quality
from tacit.evaluation.exhibit import Exhibit, Shown
from tacit.evaluation.plots import Plot
from tacit.evaluation.results import PROTOCOL, MetricInfo, Point, Results
from tacit.evaluation.runner import Failure, Row, without_value

MARKDOWN = "report.md"
HTML = "report.html"
DIFFERENCE_HEADS = ("codec", "bits for equal quality", "over", "quality at equal bits", "over (bpp)")
PAIRS = "Each codec against each other (Bjøntegaard); negative: it needs fewer bits"
MOST_ROWS = 3000  # of single images in the page; all of them are in results.json
THUMBNAIL = 512  # pixels


def write(results: Results, shown: Sequence[Exhibit], out: Path, *, log: bool = False) -> None:
    """Write `report.html`, `report.md` and `plots/*.svg` into a folder. log: the plots that Markdown shows, and those
    that the page shows first, are over the logarithm of the rate.

    Without matplotlib there are no plots.

    Raises: PathError.
    """
    drawn: dict[str, Sequence[Plot]] = {}
    if plots.problem() is None:
        drawn = {dataset.name: plots.plots(results, dataset.name) for dataset in results.datasets}
    for dataset, own in drawn.items():
        for plot in own:
            if plot.log == log:
                files.write(str(out / _plot_file(dataset, plot.metric)), plot.file.encode(), force=True)
    files.write(str(out / MARKDOWN), markdown(results, plotted=bool(drawn)).encode(), force=True)
    files.write(str(out / HTML), html(results, drawn, shown, log=log).encode(), force=True)


def outdated(results: Results, out: Path) -> list[str]:
    """The Markdown report and the plots in a folder that are not there, or are of other results."""
    found = []
    if not (out / MARKDOWN).is_file() or (out / MARKDOWN).read_text(encoding="utf-8") != markdown(results):
        found.append(MARKDOWN)
    for dataset in results.datasets:
        for metric in results.metrics:
            path = out / _plot_file(dataset.name, metric.name)
            mark = plots.mark(plots.digest(results, dataset.name, metric))
            if results.curves_of(dataset.name, metric) and not (path.is_file() and mark in path.read_text("utf-8")):
                found.append(path.relative_to(out).as_posix())
    return found


def _plot_file(dataset: str, metric: str) -> str:
    return f"plots/{_identifier(dataset)}-{_identifier(metric)}.svg"


# -- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(results: Results, *, plotted: bool = True) -> str:
    """The report without pictures of images. plotted: the files of plots stand beside it."""
    parts = ["# Evaluation", "", PROTOCOL, ""]
    if results.command:
        parts += [f"    {results.command}", ""]
    for dataset in results.datasets:
        curves = results.curves[dataset.name]
        count = len(results.images[dataset.name])
        parts += [f"## {dataset.name}", "", f"{count} of {len(dataset.images)} images.", ""]
        parts += [f"- {note}" for note in remarks(results, dataset.name)]
        parts += [""] if parts[-1] else []
        for metric in results.metrics:
            if plotted and results.curves_of(dataset.name, metric):
                named = f"{metric.name} over bits per pixel, {dataset.name}"
                parts += [f"![{named}]({_plot_file(dataset.name, metric.name)})", ""]
                parts += [f"{line}\n" for line in _sources(results, dataset.name, metric)]
            differences = results.differences.get(dataset.name, {}).get(metric.name, {})
            if differences:
                parts += [f"### {title(metric)}: differences from {results.anchor}", ""]
                parts += _table(
                    DIFFERENCE_HEADS,
                    [[codec, *difference_cells(metric, *pair)] for codec, pair in differences.items()],
                )
            pairs = results.rate_differences[dataset.name][metric.name]
            if len(pairs) > 2:
                parts += [f"{PAIRS}:", ""]
                parts += _table(*_pairs(pairs, metric))
        parts += ["### Time and memory", ""]
        parts += _table(*_speed(results, dataset.name))
        parts += ["### Curves", ""]
        parts += _table(point_heads(results), [point_cells(results, c, p) for c, ps in curves.items() for p in ps])
    parts += ["## How it was measured", ""]
    parts += [f"- {line}" for line in provenance(results)]
    return "\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


# -- HTML -------------------------------------------------------------------------------------------------------------


def html(results: Results, drawn: Mapping[str, Sequence[Plot]], shown: Sequence[Exhibit], *, log: bool = False) -> str:
    """The page."""
    template = Template(resources.files("tacit.evaluation").joinpath("report.html").read_text(encoding="utf-8"))
    count = max(1, len(results.metrics))
    chosen = ",\n".join(
        f".tabs > input:nth-of-type({i}):checked ~ .panel:nth-of-type({i})" for i in range(1, count + 1)
    )
    sets = ", ".join(dataset.name for dataset in results.datasets)
    return template.substitute(
        title=escape(f"{', '.join(results.codecs)} on {sets}"),
        variables=" ".join(f"{n}: light-dark({a}, {b});" for n, (a, b) in plots.variables().items()),
        chosen=chosen,
        protocol=escape(PROTOCOL),
        command=f"<pre>{escape(results.command)}</pre>" if results.command else "",
        sections="\n".join(
            _section(results, d.name, drawn.get(d.name, ()), [e for e in shown if e.dataset == d.name], log)
            for d in results.datasets
        ),
        provenance="\n".join(f"<li>{escape(line)}</li>" for line in provenance(results)),
    )


def _section(results: Results, dataset: str, drawn: Sequence[Plot], shown: Sequence[Exhibit], log: bool) -> str:
    (about,) = (d for d in results.datasets if d.name == dataset)
    parts = [f"<h2>{escape(dataset)}</h2>"]
    parts.append(f'<p class="soft">{len(results.images[dataset])} of {len(about.images)} images</p>')
    if said := remarks(results, dataset):
        parts.append(f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in said)}</ul>")
    parts.append(_metrics(results, dataset, drawn, log))
    if shown:
        parts += ["<h3>At equal bytes</h3>", '<p class="soft">PSNR is that of the whole image.</p>']
        parts += map(_exhibit, shown)
    parts += ["<h3>Time and memory</h3>", _html_table(results, *_speed(results, dataset))]
    points = [point_cells(results, c, p) for c, ps in results.curves[dataset].items() for p in ps]
    parts.append(_folded("All points of the curves", _html_table(results, point_heads(results), points)))
    parts.append(_images(results, dataset))
    return "\n".join(parts)


def _metrics(results: Results, dataset: str, drawn: Sequence[Plot], log: bool) -> str:
    """A tab for each metric: its plot and its differences."""
    tabs, panels = [], []
    for i, metric in enumerate(results.metrics):
        name = f"metric-{_identifier(dataset)}"
        checked = " checked" if i == 0 else ""
        tabs.append(f'<input type="radio" name="{name}" id="{name}-{i}"{checked}>')
        tabs.append(f'<label for="{name}-{i}">{escape(metric.name)}</label>')
        own = {plot.log: plot.svg for plot in drawn if plot.metric == metric.name}
        parts = [f'<p class="soft">{escape(title(metric))}; {escape(metric.protocol)}</p>']
        if own:
            on = " checked" if log else ""
            parts.append(f'<label class="axis"><input type="checkbox"{on}> logarithmic rate</label>')
            parts.append(
                f'<div class="plot"><div class="lin">{own[False]}</div><div class="log">{own[True]}</div></div>'
            )
            parts += [f'<p class="soft">{escape(line)}</p>' for line in _sources(results, dataset, metric)]
        elif not metric.is_rate and (why := plots.problem()) is not None:
            parts.append(f'<p class="over">{escape(why)}</p>')
        if differences := results.differences.get(dataset, {}).get(metric.name, {}):
            rows = [[codec, *difference_cells(metric, *pair)] for codec, pair in differences.items()]
            parts.append(f"<h4>Bjøntegaard differences from {escape(results.anchor)}</h4>")
            parts.append(_html_table(results, DIFFERENCE_HEADS, rows))
        if len(pairs := results.rate_differences[dataset][metric.name]) > 2:
            parts.append(f"<h4>{escape(PAIRS)}</h4>")
            parts.append(_html_table(results, *_pairs(pairs, metric)))
        panels.append(f'<div class="panel">{"".join(parts)}</div>')
    return f'<div class="tabs">{"".join(tabs)}{"".join(panels)}</div>'


def _identifier(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text)


def _html_table(results: Results, heads: Sequence[str], rows: Sequence[Sequence[str]], *, long: bool = False) -> str:
    lines = [f"<tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>"]
    for row in rows:
        own = ' class="own"' if "weights" in results.codecs.get(row[0], {}) else ""
        cells = "".join(
            f'<td class="why">{escape(c)}</td>' if c.startswith("none: ") else f"<td>{escape(c)}</td>" for c in row
        )
        lines.append(f"<tr{own}>{cells}</tr>")
    kind = "scroll long" if long or len(rows) > 40 else "scroll"
    return f'<div class="{kind}"><table>{"".join(lines)}</table></div>'


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _speed(results: Results, dataset: str) -> tuple[list[str], list[list[str]]]:
    """Per codec, over all of its points."""
    rows = []
    for codec, points in results.curves[dataset].items():
        costs = [[p.encode for p in points], [p.decode for p in points]]
        cells = [_range([1000 * cost.seconds for cost in some]) for some in costs]
        cells += [_range([1000 * cost.cpu for cost in some if cost.cpu is not None]) for some in costs]
        cells += [_range([cost.memory / 1e6 for cost in some if cost.memory is not None]) for some in costs]
        rows.append([codec, *cells])
    return ["codec", *(f"{what} ({unit})" for unit in ("ms", "CPU ms", "MB") for what in ("encode", "decode"))], rows


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"


def _images(results: Results, dataset: str) -> str:
    """Every image: its rate difference from the anchor by codec, and its rows."""
    rows = [row for row in results.measured.rows if row.dataset == dataset]
    by_image: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        by_image.setdefault(row.image, {}).setdefault(row.codec, []).append(row)
    parts = []
    others = [codec for codec in results.codecs if codec != results.anchor]
    first = next((m for m in results.metrics if any(m.name in row.metrics for row in rows)), None)
    if first is not None and others:
        lines = [
            [image, *(_image_difference(own.get(results.anchor, []), own.get(codec, []), first) for codec in others)]
            for image, own in by_image.items()
        ]
        summary = f"Bits for equal {first.name} against {results.anchor}, image by image"
        parts.append(_folded(summary, _html_table(results, ["image", *others], lines)))
    names = [m.name for m in results.metrics if any(m.name in row.metrics for row in rows)]
    if len(rows) <= MOST_ROWS:
        heads = ["image", "codec", "quality", "bytes", "bpp", *names, "encode (ms)", "decode (ms)"]
        lines = [_row_cells(row, names) for row in rows]
        parts.append(_folded(f"All {len(rows)} files", _html_table(results, heads, lines, long=True)))
    else:
        parts.append(f'<p class="soft">All {len(rows):,} files are in results.json.</p>')
    return "\n".join(parts)


def _image_difference(anchor: Sequence[Row], test: Sequence[Row], metric: MetricInfo) -> str:
    curves = []
    for rows in (anchor, test):
        having = [(row.bpp, value) for row in rows if (value := row.metrics.get(metric.name)) is not None]
        curves.append(([rate for rate, _ in having], [value for _, value in having]))
    try:
        return percent(rate_difference(curves[0], curves[1]).value)
    except InvalidInput:
        return "none"


def _row_cells(row: Row, names: Sequence[str]) -> list[str]:
    values = [row.metrics.get(name) for name in names]
    return [
        row.image,
        row.codec,
        quality_text(row.quality),
        f"{row.bytes:,}",
        f"{row.bpp:.4f}",
        *("" if value is None else number(value) for value in values),
        f"{1000 * row.encode.seconds:.0f}",
        f"{1000 * row.decode.seconds:.0f}",
    ]


def _exhibit(exhibit: Exhibit) -> str:
    rows, columns, _ = exhibit.whole.shape
    left, top, width, height = exhibit.box
    box = (
        f"left:{100 * left / columns:.2f}%;top:{100 * top / rows:.2f}%;"
        f"width:{100 * width / columns:.2f}%;height:{100 * height / rows:.2f}%"
    )
    rate = 8 * exhibit.limit / (rows * columns)
    heading = f"{exhibit.image}: at most {exhibit.limit:,} bytes ({rate:.3f} bpp), as {exhibit.leader} has"
    words = f"<p class=soft>“{escape(exhibit.caption)}”</p>" if exhibit.caption else ""
    whole = (
        f'<figure class="whole"><div><img alt="{escape(exhibit.image)}, whole" src="{_thumbnail(exhibit.whole)}">'
        f'<i style="{box}"></i></div><figcaption>the whole image, {columns}x{rows}</figcaption></figure>'
    )
    original = (
        f'<figure><img alt="original" src="{_lossless(exhibit.original)}">'
        "<figcaption><b>original</b>, the part in the frame</figcaption></figure>"
    )
    tiles = "".join(_tile(exhibit, one) for one in exhibit.shown)
    return f'<h4>{escape(heading)}</h4>{words}<div class="shown">{whole}{original}{tiles}</div>'


def _tile(exhibit: Exhibit, shown: Shown) -> str:
    own = ' class="own"' if shown.codec == exhibit.leader else ""
    size = f"{shown.bytes:,} bytes"
    fidelity = f"{shown.psnr:.2f} dB" if math.isfinite(shown.psnr) else "lossless"
    if shown.over:
        size = f'<span class="over">{size}: no smaller file was measured</span>'
    words = f"<b>{escape(shown.codec)}</b>, quality {quality_text(shown.quality)}, {size}, {fidelity}"
    return (
        f'<figure{own}><img alt="{escape(shown.codec)}" src="{_lossless(shown.crop)}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _lossless(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _thumbnail(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


# -- what both kinds of report say ------------------------------------------------------------------------------------


def title(metric: MetricInfo) -> str:
    """Its name, unit and direction."""
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.name}{unit}, {'higher' if metric.higher_is_better else 'lower'} is better"


def difference_cells(metric: MetricInfo, rate: Difference | str, quality: Difference | str) -> list[str]:
    """Of one codec: the rate difference and its range, the quality difference and its range; or why there is none."""
    cells = []
    if isinstance(rate, str):
        cells += [f"none: {rate}", ""]
    else:
        cells += [percent(rate.value), f"{number(rate.low)} to {number(rate.high)} ({rate.overlap:.0%})"]
    if isinstance(quality, str):
        cells += [f"none: {quality}", ""]
    else:
        cells += [
            f"{signed(quality.value)} {metric.unit}".strip(),
            f"{number(quality.low)} to {number(quality.high)} ({quality.overlap:.0%})",
        ]
    return cells


def _pairs(
    pairs: Mapping[str, Mapping[str, Difference | str]], metric: MetricInfo
) -> tuple[list[str], list[list[str]]]:
    """Heads and lines of the table of rate differences of every two codecs."""
    anchors = list(dict.fromkeys([*pairs, *(against for of in pairs.values() for against in of)]))
    lines = [[codec, *(rate_text(of.get(against, "")) for against in anchors)] for codec, of in pairs.items()]
    return [f"bits for equal {metric.name}", *(f"against {codec}" for codec in anchors)], lines


def rate_text(rate: Difference | str) -> str:
    """A rate difference in per cent; "none" where it was refused, empty where there is nothing to compare."""
    return percent(rate.value) if isinstance(rate, Difference) else "none" if rate else ""


def _sources(results: Results, dataset: str, metric: MetricInfo) -> list[str]:
    return [f"{curve.label}: {curve.source}." for curve in results.published(dataset, metric)]


def point_heads(results: Results) -> list[str]:
    """Heads of the table of points."""
    metrics = [f"{m.name} ({m.unit})" if m.unit else m.name for m in results.metrics]
    return ["codec", "quality", "bpp", *metrics]


def point_cells(results: Results, codec: str, point: Point) -> list[str]:
    """One line of that table."""
    metrics = [number(point.metrics[m.name]) if m.name in point.metrics else "none" for m in results.metrics]
    return [codec, quality_text(point.quality), f"{point.bpp:.4f}", *metrics]


def remarks(results: Results, dataset: str) -> list[str]:
    """What a reader of a set's figures should know: images left out, failures."""
    (about,) = (d for d in results.datasets if d.name == dataset)
    said = list(about.notes)
    if left := results.left_out(dataset):
        named = ", ".join(left[:10]) + (", ..." if len(left) > 10 else "")
        said.append(f"Not in the curves, since not every codec has them at all of its qualities: {named}")
    failures = [f for f in results.measured.failures if f.dataset == dataset]
    said += [_failure(f) for f in failures[:20]]
    said += [f"and {len(failures) - 20} failures more, in results.json"] if len(failures) > 20 else []
    return said + without_value([row for row in results.measured.rows if row.dataset == dataset])


def _failure(failure: Failure) -> str:
    quality = "" if failure.quality is None else f"quality {quality_text(failure.quality)}"
    return f"Failed: {', '.join(part for part in (failure.codec, failure.image, quality) if part)}: {failure.reason}"


def provenance(results: Results) -> list[str]:
    """Date, machine, versions, settings and protocols."""
    machine = ", ".join(f"{key} {value}" for key, value in results.machine.items() if key != "memory")
    memory = results.machine.get("memory")
    said = [
        f"{results.date}, in {results.seconds:.0f} s",
        machine + (f", {memory / 2**30:.0f} GiB" if memory else ""),
        ", ".join(f"{name} {version}" for name, version in results.libraries.items()),
        "Times are means over the images, and memory is the largest of any, beyond what the process held before; CPU "
        "ms are those that processors worked, all threads together, and do not count the waiting on a busy machine",
    ]
    said += [f"{metric.name}: {metric.protocol}" for metric in results.metrics]
    said += [f"{name}: {settings_text(settings)}" for name, settings in results.codecs.items()]
    said += [f"skipped: {text}" for text in results.skipped.values()]
    return said


def settings_text(settings: object) -> str:
    """Nested settings in one line."""
    if isinstance(settings, dict):
        inner = [f"{key} {settings_text(value)}" for key, value in settings.items() if value not in (None, {})]
        return ", ".join(inner)
    if isinstance(settings, list):
        return "; ".join(map(str, settings))
    return str(settings)


def quality_text(quality: Quality) -> str:
    """28 and 28.5 and names."""
    return f"{quality:g}" if isinstance(quality, int | float) else quality


def number(value: float) -> str:
    """Four digits after the point for small values, two for others."""
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


def signed(value: float) -> str:
    """As `number`, with its sign; nothing is no less than zero."""
    text = f"{value:+.2f}" if abs(value) >= 0.1 else f"{value:+.4f}"
    return text if float(text) else text.replace("-", "+")


def percent(value: float) -> str:
    """With its sign and one digit after the point; nothing is no less than zero."""
    text = f"{value:+.1f} %"
    return text if text != "-0.0 %" else "+0.0 %"
