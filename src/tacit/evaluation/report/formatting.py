"""What the Markdown report and the HTML page have in common: the contents of their tables and lists, as texts."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.evaluation.bjontegaard import Difference
from tacit.evaluation.codecs.protocol import quality_text
from tacit.evaluation.measurements import Failure, listed, missing_values
from tacit.evaluation.results import CurvePoint, MetricInfo, Results

DIFFERENCE_HEADS = ("codec", "bits for equal quality", "over", "quality at equal bits", "over (bpp)")
COSTS = (
    "Times are means over the images. Memory is the largest of any image, beyond what the process held before. CPU ms "
    "are the time that processors worked, all threads together, without the time that a busy machine makes it wait."
)
PAIRS = "Every two codecs compared (Bjøntegaard); a negative difference means fewer bits"

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""A table's heads and its rows."""


def title(metric: MetricInfo) -> str:
    """Return a metric's name, its unit, and whether higher or lower is better."""
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.name}{unit}, {'higher' if metric.higher_is_better else 'lower'} is better"


def difference_table(results: Results, dataset: str, metric: MetricInfo) -> Table | None:
    """Return the table of the codecs' differences from the anchor, or None where there is none."""
    differences = results.differences.get(dataset, {}).get(metric.name, {})
    if not differences:
        return None
    return DIFFERENCE_HEADS, [[codec, *_difference_cells(metric, *pair)] for codec, pair in differences.items()]


def _difference_cells(metric: MetricInfo, rate: Difference | str, quality: Difference | str) -> list[str]:
    """Return the rate difference and its range, the quality difference and its range; or why there is none."""
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


def pair_table(results: Results, dataset: str, metric: MetricInfo) -> Table | None:
    """Return the table of rate differences between every two codecs, or None for two codecs or fewer."""
    pairs = results.rate_differences[dataset][metric.name]
    if len(pairs) <= 2:
        return None
    anchors = list(dict.fromkeys([*pairs, *(against for of in pairs.values() for against in of)]))
    rows = [[codec, *(rate_text(of.get(against, "")) for against in anchors)] for codec, of in pairs.items()]
    return [f"bits for equal {metric.name}", *(f"against {codec}" for codec in anchors)], rows


def rate_text(rate: Difference | str) -> str:
    """Return a rate difference in per cent; "none" where it was refused, empty where there is nothing to compare."""
    return percent(rate.value) if isinstance(rate, Difference) else "none" if rate else ""


def cost_table(results: Results, dataset: str) -> Table:
    """Return the table of times and memory, over all of a codec's points."""
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


def point_table(results: Results, dataset: str) -> Table:
    """Return the table of all points of the curves."""
    metrics = [f"{m.name} ({m.unit})" if m.unit else m.name for m in results.metrics]
    rows = [
        _point_cells(results, codec, point) for codec, points in results.curves[dataset].items() for point in points
    ]
    return ["codec", "quality", "bpp", *metrics], rows


def _point_cells(results: Results, codec: str, point: CurvePoint) -> list[str]:
    metrics = [number(point.metrics[m.name]) if m.name in point.metrics else "none" for m in results.metrics]
    return [codec, quality_text(point.quality), f"{point.bpp:.4f}", *metrics]


def sources(results: Results, dataset: str, metric: MetricInfo) -> list[str]:
    """Return the sources of the published curves beside a data set's own."""
    return [
        f"{curve.label}: {curve.source}.{f' It costs {curve.cost}.' if curve.cost else ''}"
        for curve in results.published(dataset, metric)
    ]


def remarks(results: Results, dataset: str) -> list[str]:
    """Return what a reader of a data set's figures should know: notes, images left out, and failures."""
    lines = list(results.dataset(dataset).notes)
    if left := results.left_out(dataset):
        lines.append(f"In no curve, since not every codec has them at all of its qualities: {listed(left, 10)}")
    failures = [f for f in results.measurements.failures if f.dataset == dataset]
    lines += [_failure_text(f) for f in failures[:20]]
    lines += [f"and {len(failures) - 20} more failures, in results.json"] if len(failures) > 20 else []
    return lines + missing_values([row for row in results.measurements.rows if row.dataset == dataset])


def _failure_text(failure: Failure) -> str:
    quality = "" if failure.quality is None else f"quality {quality_text(failure.quality)}"
    return f"Failed: {', '.join(part for part in (failure.codec, failure.image, quality) if part)}: {failure.reason}"


def provenance(results: Results) -> list[str]:
    """Return date, machine, versions, settings and protocols."""
    machine = ", ".join(f"{key} {value}" for key, value in results.machine.items() if key != "memory")
    memory = results.machine.get("memory")
    lines = [
        f"Measured on {results.date}, in {results.seconds:.0f} s",
        machine + (f", {memory / 2**30:.0f} GiB" if memory else ""),
        ", ".join(f"{name} {version}" for name, version in results.libraries.items()),
        COSTS,
    ]
    lines += [f"{metric.name}: {metric.protocol}" for metric in results.metrics]
    lines += [f"{name}: {settings_text(settings)}" for name, settings in results.codecs.items()]
    lines += [f"skipped: {text}" for text in results.skipped.values()]
    return lines


def settings_text(settings: object) -> str:
    """Return nested settings in one line."""
    if isinstance(settings, dict):
        inner = [f"{key} {settings_text(value)}" for key, value in settings.items() if value not in (None, {})]
        return ", ".join(inner)
    if isinstance(settings, list):
        return "; ".join(map(str, settings))
    return str(settings)


def number(value: float) -> str:
    """Return a number with four digits after the point if it is small, else with two."""
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


def signed(value: float) -> str:
    """Return a difference with its sign, and digits after the point by its size; zero is never negative."""
    text = f"{value:+.2f}" if abs(value) >= 0.1 else f"{value:+.4f}"
    return text if float(text) else text.replace("-", "+")


def percent(value: float) -> str:
    """Return a percentage with its sign and one digit after the point; zero is never negative."""
    text = f"{value:+.1f} %"
    return text if text != "-0.0 %" else "+0.0 %"


def identifier(text: str) -> str:
    """Return a text as a part of file names and of HTML's identifiers."""
    return "".join(c if c.isalnum() else "-" for c in text)


def plot_file(dataset: str, metric: str) -> str:
    """Return the path of a plot's file, relative to the folder of the results."""
    return f"plots/{identifier(dataset)}-{identifier(metric)}.svg"
