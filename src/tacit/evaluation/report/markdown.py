"""The report as Markdown, with plots in files beside it."""

from __future__ import annotations

from tacit.evaluation.report import formatting
from tacit.evaluation.report.formatting import Table
from tacit.evaluation.results import PROTOCOL, MetricInfo, Results


def markdown(results: Results, *, plotted: bool = True) -> str:
    """Return the report, which shows no images.

    Args:
        results: The results.
        plotted: Whether the files of plots stand beside the report.
    """
    parts = ["# Evaluation", "", PROTOCOL, ""]
    if results.command:
        parts += [f"    {results.command}", ""]
    for dataset in results.datasets:
        count = len(results.images[dataset.name])
        parts += [f"## {dataset.name}", "", f"{count} of {len(dataset.images)} images.", ""]
        parts += [f"- {note}" for note in formatting.remarks(results, dataset.name)]
        parts += [""] if parts[-1] else []
        for metric in results.metrics:
            parts += _metric(results, dataset.name, metric, plotted)
        parts += ["### Time and memory", ""]
        parts += _table(formatting.cost_table(results, dataset.name))
        parts += ["### Curves", ""]
        parts += _table(formatting.point_table(results, dataset.name))
    parts += ["## How it was measured", ""]
    parts += [f"- {line}" for line in formatting.provenance(results)]
    return "\n".join(parts) + "\n"


def _metric(results: Results, dataset: str, metric: MetricInfo, plotted: bool) -> list[str]:
    """Return the lines for one metric: its plot and its differences."""
    parts = []
    if plotted and results.curves_of(dataset, metric):
        label = f"{metric.name} over bits per pixel, {dataset}"
        parts += [f"![{label}]({formatting.plot_file(dataset, metric.name)})", ""]
        parts += [f"{line}\n" for line in formatting.sources(results, dataset, metric)]
    if (differences := formatting.difference_table(results, dataset, metric)) is not None:
        parts += [f"### {formatting.title(metric)}: differences from {results.anchor}", ""]
        parts += _table(differences)
    if (pairs := formatting.pair_table(results, dataset, metric)) is not None:
        parts += [f"{formatting.PAIRS}:", ""]
        parts += _table(pairs)
    return parts


def _table(table: Table) -> list[str]:
    heads, rows = table
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]
