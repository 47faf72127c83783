"""The report of an evaluation: Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tacit import files
from tacit.evaluation.bjontegaard import Difference
from tacit.evaluation.codecs import Quality
from tacit.evaluation.results import PROTOCOL, MetricInfo, Point, Results
from tacit.evaluation.runner import Failure

MARKDOWN = "report.md"


def write(results: Results, out: Path) -> None:
    """Write the report into a folder.

    Raises: PathError.
    """
    files.write(str(out / MARKDOWN), markdown(results).encode(), force=True)


# -- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(results: Results) -> str:
    """The report without pictures of images."""
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
            differences = results.differences.get(dataset.name, {}).get(metric.name, {})
            if differences:
                parts += [f"### {title(metric)}: differences from {results.anchor}", ""]
                parts += _table(
                    ["codec", "bits for equal quality", "over", "quality at equal bits", "over (bpp)"],
                    [[codec, *difference_cells(metric, *pair)] for codec, pair in differences.items()],
                )
        parts += ["### Curves", ""]
        parts += _table(point_heads(results), [point_cells(results, c, p) for c, ps in curves.items() for p in ps])
    parts += ["## How it was measured", ""]
    parts += [f"- {line}" for line in provenance(results)]
    return "\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


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
        cells += [f"{rate.value:+.1f} %", f"{number(rate.low)} to {number(rate.high)} ({rate.overlap:.0%})"]
    if isinstance(quality, str):
        cells += [f"none: {quality}", ""]
    else:
        cells += [
            f"{signed(quality.value)} {metric.unit}".strip(),
            f"{number(quality.low)} to {number(quality.high)} ({quality.overlap:.0%})",
        ]
    return cells


def point_heads(results: Results) -> list[str]:
    """Heads of the table of points."""
    metrics = [f"{m.name} ({m.unit})" if m.unit else m.name for m in results.metrics]
    return ["codec", "quality", "bpp", *metrics, "encode (ms)", "decode (ms)", "encode (MB)", "decode (MB)"]


def point_cells(results: Results, codec: str, point: Point) -> list[str]:
    """One line of that table."""
    metrics = [number(point.metrics[m.name]) if m.name in point.metrics else "none" for m in results.metrics]
    times = [f"{1000 * seconds:.0f}" for seconds in (point.encode_seconds, point.decode_seconds)]
    memory = ["" if m is None else f"{m / 1e6:.0f}" for m in (point.encode_memory, point.decode_memory)]
    return [codec, quality_text(point.quality), f"{point.bpp:.4f}", *metrics, *times, *memory]


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
    notes = {
        (name, text) for row in results.measured.rows if row.dataset == dataset for name, text in row.notes.items()
    }
    return said + [f"{name}: {text}" for name, text in sorted(notes)[:10]]


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
        "Times are means over the images and memory is the largest of any, beyond what the process held before",
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
    """As `number`, with its sign."""
    return f"{value:+.2f}" if abs(value) >= 0.1 else f"{value:+.4f}"
