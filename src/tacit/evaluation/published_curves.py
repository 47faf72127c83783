"""Curves that others have published, to compare with; their authors measured them, and each names its source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class PublishedCost:
    """What a published codec costs."""

    kmac: tuple[float, ...]
    """Thousands of multiplications (MAC) for each pixel: a figure, or the least and the most."""
    source: str
    """Where that was published, and what it counts."""

    def __str__(self) -> str:
        return f"{' to '.join(f'{value:.3g}' for value in self.kmac)} kMAC a pixel ({self.source})"


@dataclass(frozen=True, kw_only=True)
class PublishedCurve:
    """The rate-distortion curve of a codec that was not measured here."""

    name: str
    """The codec's name."""
    dataset: str
    """The data set's name."""
    metric: str
    """The metric's name."""
    rates: tuple[float, ...]
    """Rates in bits per pixel."""
    values: tuple[float, ...]
    """The metric's values at these rates."""
    source: str
    """Where the curve was published."""
    cost: PublishedCost | None = None
    """What the codec costs, where that was published."""

    @property
    def label(self) -> str:
        """The curve's name among codecs that were measured here."""
        return f"{self.name}, published"


@cache
def published_curves() -> tuple[PublishedCurve, ...]:
    """Return the curves of `published_curves.json`."""
    return tuple(_read())


def _read() -> Iterator[PublishedCurve]:
    text = resources.files("tacit.evaluation").joinpath("published_curves.json").read_text(encoding="utf-8")
    for entry in json.loads(text):
        cost = entry.get("cost")
        for metric, points in entry["points"].items():
            yield PublishedCurve(
                name=entry["name"],
                dataset=entry["dataset"],
                metric=metric,
                rates=tuple(rate for rate, _ in points),
                values=tuple(value for _, value in points),
                source=entry["source"],
                cost=cost and PublishedCost(tuple(cost["kmac"]), cost["source"]),
            )
