"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template

import numpy as np
from PIL import Image

from tacit.errors import InvalidInput
from tacit.evaluation import plots
from tacit.evaluation.bjontegaard import rate_difference
from tacit.evaluation.codecs.protocol import quality_text
from tacit.evaluation.equal_bytes import EqualBytesExample, EqualBytesFile
from tacit.evaluation.measurements import Measurement
from tacit.evaluation.plots import Plot
from tacit.evaluation.report import formatting
from tacit.evaluation.report.formatting import Table
from tacit.evaluation.results import PROTOCOL, MetricInfo, Results

MAX_ROWS = 3000  # of single images in the page; all of them are in results.json
THUMBNAIL = 512  # pixels


def html(
    results: Results, drawn: Mapping[str, Sequence[Plot]], examples: Sequence[EqualBytesExample], *, log: bool = False
) -> str:
    """Return the page.

    Args:
        results: The results.
        drawn: The plots, by data set.
        examples: The images to show at equal bytes.
        log: Whether the plots over the logarithm of the rate are shown first.
    """
    template = Template(resources.files("tacit.evaluation.report").joinpath("page.html").read_text(encoding="utf-8"))
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
            _section(results, d.name, drawn.get(d.name, ()), [e for e in examples if e.dataset == d.name], log)
            for d in results.datasets
        ),
        provenance="\n".join(f"<li>{escape(line)}</li>" for line in formatting.provenance(results)),
    )


def _section(
    results: Results, dataset: str, drawn: Sequence[Plot], examples: Sequence[EqualBytesExample], log: bool
) -> str:
    parts = [f"<h2>{escape(dataset)}</h2>"]
    total = len(results.dataset(dataset).images)
    parts.append(f'<p class="soft">{len(results.images[dataset])} of {total} images</p>')
    if lines := formatting.remarks(results, dataset):
        parts.append(f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")
    parts.append(_metrics(results, dataset, drawn, log))
    if examples:
        parts += ["<h3>At equal bytes</h3>", '<p class="soft">The PSNR is that of the whole image.</p>']
        parts += map(_example, examples)
    parts += ["<h3>Time and memory</h3>", _table(results, formatting.cost_table(results, dataset))]
    parts.append(_folded("All points of the curves", _table(results, formatting.point_table(results, dataset))))
    parts.append(_images(results, dataset))
    return "\n".join(parts)


def _metrics(results: Results, dataset: str, drawn: Sequence[Plot], log: bool) -> str:
    """Return a tab for each metric, with its plot and its differences."""
    tabs, panels = [], []
    for i, metric in enumerate(results.metrics):
        name = f"metric-{formatting.identifier(dataset)}"
        checked = " checked" if i == 0 else ""
        tabs.append(f'<input type="radio" name="{name}" id="{name}-{i}"{checked}>')
        tabs.append(f'<label for="{name}-{i}">{escape(metric.name)}</label>')
        own = {plot.log: plot.svg for plot in drawn if plot.metric == metric.name}
        parts = [f'<p class="soft">{escape(formatting.title(metric))}; {escape(metric.protocol)}</p>']
        if own:
            on = " checked" if log else ""
            parts.append(f'<label class="axis"><input type="checkbox"{on}> logarithmic rate</label>')
            parts.append(
                f'<div class="plot"><div class="lin">{own[False]}</div><div class="log">{own[True]}</div></div>'
            )
            parts += [f'<p class="soft">{escape(line)}</p>' for line in formatting.sources(results, dataset, metric)]
        elif not metric.is_rate and (why := plots.problem()) is not None:
            parts.append(f'<p class="over">{escape(why)}</p>')
        if (differences := formatting.difference_table(results, dataset, metric)) is not None:
            parts.append(f"<h4>Bjøntegaard differences from {escape(results.anchor)}</h4>")
            parts.append(_table(results, differences))
        if (pairs := formatting.pair_table(results, dataset, metric)) is not None:
            parts.append(f"<h4>{escape(formatting.PAIRS)}</h4>")
            parts.append(_table(results, pairs))
        panels.append(f'<div class="panel">{"".join(parts)}</div>')
    return f'<div class="tabs">{"".join(tabs)}{"".join(panels)}</div>'


def _table(results: Results, table: Table, *, long: bool = False) -> str:
    heads, rows = table
    lines = [f"<tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>"]
    for row in rows:
        own = ' class="own"' if results.is_own(row[0]) else ""
        cells = "".join(
            f'<td class="why">{escape(c)}</td>' if c.startswith("none: ") else f"<td>{escape(c)}</td>" for c in row
        )
        lines.append(f"<tr{own}>{cells}</tr>")
    kind = "scroll long" if long or len(rows) > 40 else "scroll"
    return f'<div class="{kind}"><table>{"".join(lines)}</table></div>'


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _images(results: Results, dataset: str) -> str:
    """Return the rate differences from the anchor for each image, and the rows of all files."""
    rows = [row for row in results.measurements.rows if row.dataset == dataset]
    by_image: dict[str, dict[str, list[Measurement]]] = {}
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
        parts.append(_folded(summary, _table(results, (["image", *others], lines))))
    names = [m.name for m in results.metrics if any(m.name in row.metrics for row in rows)]
    if len(rows) <= MAX_ROWS:
        heads = ["image", "codec", "quality", "bytes", "bpp", *names, "encode (ms)", "decode (ms)"]
        lines = [_row_cells(row, names) for row in rows]
        parts.append(_folded(f"All {len(rows)} files", _table(results, (heads, lines), long=True)))
    else:
        parts.append(f'<p class="soft">All {len(rows):,} files are in results.json.</p>')
    return "\n".join(parts)


def _image_difference(anchor: Sequence[Measurement], test: Sequence[Measurement], metric: MetricInfo) -> str:
    curves = []
    for rows in (anchor, test):
        having = [(row.bpp, value) for row in rows if (value := row.metrics.get(metric.name)) is not None]
        curves.append(([rate for rate, _ in having], [value for _, value in having]))
    try:
        return formatting.percent(rate_difference(curves[0], curves[1]).value)
    except InvalidInput:
        return "none"


def _row_cells(row: Measurement, names: Sequence[str]) -> list[str]:
    values = [row.metrics.get(name) for name in names]
    return [
        row.image,
        row.codec,
        quality_text(row.quality),
        f"{row.bytes:,}",
        f"{row.bpp:.4f}",
        *("" if value is None else formatting.number(value) for value in values),
        f"{1000 * row.encode.seconds:.0f}",
        f"{1000 * row.decode.seconds:.0f}",
    ]


def _example(example: EqualBytesExample) -> str:
    rows, columns, _ = example.whole.shape
    left, top, right, bottom = example.box
    box = (
        f"left:{100 * left / columns:.2f}%;top:{100 * top / rows:.2f}%;"
        f"width:{100 * (right - left) / columns:.2f}%;height:{100 * (bottom - top) / rows:.2f}%"
    )
    rate = 8 * example.limit / (rows * columns)
    heading = f"{example.image}: at most {example.limit:,} bytes ({rate:.3f} bpp), the size of {example.leader}'s file"
    words = f"<p class=soft>“{escape(example.caption)}”</p>" if example.caption else ""
    whole = (
        f'<figure class="whole"><div><img alt="{escape(example.image)}, whole" src="{_thumbnail(example.whole)}">'
        f'<i style="{box}"></i></div><figcaption>the whole image, {columns}x{rows}</figcaption></figure>'
    )
    original = (
        f'<figure><img alt="original" src="{_png(example.original)}">'
        "<figcaption><b>original</b>, the part in the frame</figcaption></figure>"
    )
    figures = "".join(_figure(example, file) for file in example.files)
    return f'<h4>{escape(heading)}</h4>{words}<div class="shown">{whole}{original}{figures}</div>'


def _figure(example: EqualBytesExample, file: EqualBytesFile) -> str:
    own = ' class="own"' if file.codec == example.leader else ""
    size = f"{file.bytes:,} bytes"
    fidelity = f"{file.psnr:.2f} dB" if math.isfinite(file.psnr) else "lossless"
    if file.too_large:
        size = f'<span class="over">{size}: no smaller file was measured</span>'
    words = f"<b>{escape(file.codec)}</b>, quality {quality_text(file.quality)}, {size}, {fidelity}"
    return (
        f'<figure{own}><img alt="{escape(file.codec)}" src="{_png(file.crop)}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _png(pixels: np.ndarray) -> str:
    """Return pixels as the URL of a lossless image."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _thumbnail(pixels: np.ndarray) -> str:
    """Return pixels as the URL of a small image."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
