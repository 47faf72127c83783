"""The report of an evaluation: one HTML page that needs no other file, and Markdown with its plots beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tacit import files
from tacit.evaluation import plots
from tacit.evaluation.equal_bytes import EqualBytesExample
from tacit.evaluation.plots import Plot
from tacit.evaluation.report.formatting import plot_file
from tacit.evaluation.report.html import html
from tacit.evaluation.report.markdown import markdown
from tacit.evaluation.results import Results

MARKDOWN = "report.md"
HTML = "report.html"


def write_report(results: Results, examples: Sequence[EqualBytesExample], out: Path, *, log: bool = False) -> None:
    """Write `report.html`, `report.md` and `plots/*.svg` into a folder; without matplotlib there are no plots.

    Args:
        results: The results.
        examples: The images that the page shows at equal bytes.
        out: The folder.
        log: Whether the plots that Markdown shows, and those that the page shows first, are over the logarithm of the
            rate.

    Raises:
        PathError: A file cannot be written.
    """
    drawn: dict[str, Sequence[Plot]] = {}
    if plots.problem() is None:
        drawn = {dataset.name: plots.all_plots(results, dataset.name) for dataset in results.datasets}
    for dataset, own in drawn.items():
        for plot in own:
            if plot.log == log:
                files.write(str(out / plot_file(dataset, plot.metric)), plot.file.encode(), force=True)
    files.write(str(out / MARKDOWN), markdown(results, plotted=bool(drawn)).encode(), force=True)
    files.write(str(out / HTML), html(results, drawn, examples, log=log).encode(), force=True)


def outdated_files(results: Results, out: Path) -> list[str]:
    """Return which of a folder's Markdown report and plots are missing, or were made of other results."""
    outdated = []
    if not (out / MARKDOWN).is_file() or (out / MARKDOWN).read_text(encoding="utf-8") != markdown(results):
        outdated.append(MARKDOWN)
    for dataset in results.datasets:
        for metric in results.metrics:
            path = out / plot_file(dataset.name, metric.name)
            mark = plots.mark(plots.digest(results, dataset.name, metric))
            if results.curves_of(dataset.name, metric) and not (path.is_file() and mark in path.read_text("utf-8")):
                outdated.append(path.relative_to(out).as_posix())
    return outdated
