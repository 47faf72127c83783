"""What a run measures: one row for each image, codec and quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tacit.evaluation.codecs.protocol import Quality, quality_text
from tacit.evaluation.cost import Cost


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One image through one codec at one quality."""

    dataset: str
    """The data set's name."""
    image: str
    """The image's name."""
    codec: str
    """The codec's name."""
    quality: Quality
    """The codec's quality."""
    width: int
    """The image's width in pixels."""
    height: int
    """The image's height in pixels."""
    bytes: int
    """The size of the codec's file."""
    file: str
    """The file's path, relative to the folder of the results."""
    encode: Cost
    """What encoding took."""
    decode: Cost
    """What decoding took."""
    metrics: Mapping[str, float | None]
    """Values by the metrics' names; None where there is no finite value."""
    notes: Mapping[str, str]
    """Why a metric has no value, by the metric's name."""

    @property
    def bpp(self) -> float:
        """The bits of the whole file for each pixel."""
        return 8 * self.bytes / (self.width * self.height)


@dataclass(frozen=True, kw_only=True)
class SetMeasurement:
    """A metric's value for a whole data set, at one quality of a codec."""

    dataset: str
    """The data set's name."""
    codec: str
    """The codec's name."""
    quality: Quality
    """The codec's quality."""
    metric: str
    """The metric's name."""
    value: float
    """The metric's value."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Something that could not be measured."""

    dataset: str
    """The data set's name."""
    image: str = ""
    """The image's name; empty where the failure is not about one image."""
    codec: str = ""
    """The codec's name; empty where the failure is not about one codec."""
    quality: Quality | None = None
    """The codec's quality; None where the failure is not about one quality."""
    reason: str
    """Why it failed."""

    def __str__(self) -> str:
        quality = "" if self.quality is None else quality_text(self.quality)
        parts = [part for part in (self.dataset, self.image, self.codec, quality) if part]
        return f"{' '.join(parts)}: {self.reason}"


@dataclass(frozen=True)
class Measurements:
    """All that a run measured."""

    rows: tuple[Measurement, ...]
    """One row for each image, codec and quality."""
    sets: tuple[SetMeasurement, ...]
    """Metrics of whole data sets."""
    failures: tuple[Failure, ...]
    """What could not be measured."""


def missing_values(rows: Sequence[Measurement]) -> list[str]:
    """Describe which metrics have no value for some rows of one data set: why, and for which images."""
    images: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        for name, text in row.notes.items():
            images.setdefault((name, text), {})[row.image] = None
    lines = []
    for (name, text), own in sorted(images.items(), key=lambda one: one[0][0]):
        lines.append(f"{listed(list(own), 5)}: {text if text.startswith(name) else f'{name}: {text}'}")
    return lines if len(lines) <= 10 else [*lines[:10], f"and {len(lines) - 10} more of this kind, in results.json"]


def listed(names: Sequence[str], most: int) -> str:
    """List names in a text, the first `most` of them and the number of the others."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f" and {others} more" if others > 0 else "")
