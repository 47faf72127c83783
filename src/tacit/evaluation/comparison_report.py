"""The comparison of two evaluations as Markdown."""

from __future__ import annotations

import os
from pathlib import Path

from tacit.evaluation.codecs.protocol import quality_text
from tacit.evaluation.comparison import Change, ResultsComparison, compare
from tacit.evaluation.results_file import load


def compare_files(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> str:
    """Compare two files that `tacit eval` has written, and return the comparison as Markdown.

    Raises:
        PathError: A file cannot be read.
        InvalidInput: A file is not a result of `tacit eval`, or the two have nothing in common.
    """
    return comparison_markdown(compare(load(Path(old)), load(Path(new))))


def comparison_markdown(comparison: ResultsComparison) -> str:
    """Return a comparison as Markdown: whole curves and times, then each quality at which something changed."""
    lines = []
    whole = [c for c in comparison.changes if c.quality is None]
    points = [c for c in comparison.changes if c.quality is not None]
    changed = [c for c in points if c.verdict != "same"]
    for heading, changes in (("Curves and times", whole), ("By quality, where something changed", changed)):
        if changes:
            lines += [f"## {heading}", "", "| set | codec | figure | quality | images | old | new | change | 95 % | |"]
            lines += ["|---|---|---|---|---:|---:|---:|---:|---|---|", *map(_line, changes), ""]
    same = len(points) - len(changed)
    lines += [f"{same} of {len(points)} figures by quality are the same on every image.", ""] if same else []
    if comparison.notes:
        lines += ["## Also different", "", *(f"- {note}" for note in comparison.notes), ""]
    return "\n".join(lines)


def _line(change: Change) -> str:
    interval = "" if change.low is None else f"{_number(change.low, '+')} to {_number(change.high, '+')}"
    quality = "" if change.quality is None else quality_text(change.quality)
    cells = [change.dataset, change.codec, change.figure, quality, str(change.images or ""), _number(change.old)]
    cells += [_number(change.new), _number(change.mean, "+"), interval, change.verdict]
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4g}"
