"""The results of an evaluation, from images to curves and the differences between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve, Difference, quality_difference, rate_difference
from tacit.evaluation.codecs.protocol import Quality
from tacit.evaluation.cost import Cost
from tacit.evaluation.datasets import COMPLETE
from tacit.evaluation.measurements import Measurement, Measurements
from tacit.evaluation.published_curves import PublishedCurve, published_curves

PROTOCOL = (
    "Files are written and read back. The rate is that of the whole file, in bits per pixel. Metrics are computed on "
    "the 8-bit RGB that is decoded from the file. Both are means over the images, and each image counts once."
)


@dataclass(frozen=True)
class ImageInfo:
    """An image that was measured."""

    name: str
    """The image's name, unique in its data set."""
    sha256: str
    """The hash of the image's file."""
    caption: str | None
    """The image's caption, if it has one."""


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that was measured."""

    name: str
    """The data set's name."""
    images: tuple[ImageInfo, ...]
    """Its images."""
    notes: tuple[str, ...]
    """What a reader should know, such as that images are missing."""


@dataclass(frozen=True)
class MetricInfo:
    """A metric that was used."""

    name: str
    """The metric's name."""
    unit: str
    """The unit, such as dB; empty where there is none."""
    higher_is_better: bool
    """Whether higher values are better."""
    protocol: str
    """All that a value depends on."""

    @property
    def is_rate(self) -> bool:
        """Whether this is another way of counting bits, which stands in tables and makes no curve."""
        return self.unit == "bpp"


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A codec at one quality, over a data set."""

    quality: Quality
    """The codec's quality."""
    bpp: float
    """The mean rate in bits per pixel."""
    encode: Cost
    """What encoding took: mean times, and the largest memory of any image."""
    decode: Cost
    """What decoding took: mean times, and the largest memory of any image."""
    metrics: Mapping[str, float]
    """The metrics' means, by their names."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """An evaluation."""

    command: str
    """The command that measured it; empty where it was not a command."""
    date: str
    """The date, as YYYY-MM-DD."""
    seconds: float
    """The time that the evaluation took."""
    machine: Mapping[str, Any]
    """Where it was measured."""
    libraries: Mapping[str, str]
    """The libraries' versions, tacit's among them."""
    datasets: tuple[DatasetInfo, ...]
    """The data sets."""
    codecs: Mapping[str, Mapping[str, Any]]
    """The codecs' settings, by their names."""
    metrics: tuple[MetricInfo, ...]
    """The metrics."""
    skipped: Mapping[str, str]
    """Why data sets, codecs and metrics could not be used, by their names."""
    anchor: str
    """The codec that others are compared with."""
    measurements: Measurements
    """What was measured."""

    def is_own(self, codec: str) -> bool:
        """Return whether a codec is one of tacit's models."""
        return "weights" in self.codecs.get(codec, {})

    def dataset(self, name: str) -> DatasetInfo:
        """Return the data set of a name."""
        (info,) = (dataset for dataset in self.datasets if dataset.name == name)
        return info

    @cached_property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """By data set, the images that curves are over: those that every codec has at all of its qualities.

        A codec that has no image at all of its qualities, for instance since there are no captions, does not count.
        """
        images = {}
        for dataset in self.datasets:
            rows = [row for row in self.measurements.rows if row.dataset == dataset.name]
            by_codec = []
            for codec in self.codecs:
                own = [row for row in rows if row.codec == codec]
                qualities = {row.quality for row in own}
                by_image: dict[str, set[Quality]] = {}
                for row in own:
                    by_image.setdefault(row.image, set()).add(row.quality)
                complete = {image for image, measured in by_image.items() if measured == qualities}
                by_codec += [complete] if complete else []
            common = set.intersection(*by_codec) if by_codec else set()
            images[dataset.name] = tuple(image.name for image in dataset.images if image.name in common)
        return images

    def left_out(self, dataset: str) -> tuple[str, ...]:
        """Return the images of a data set that curves are not over."""
        return tuple(i.name for i in self.dataset(dataset).images if i.name not in self.images[dataset])

    @cached_property
    def curves(self) -> Mapping[str, Mapping[str, tuple[CurvePoint, ...]]]:
        """By data set and codec, its points by rising rate; a point has the metrics that every image of it has."""
        return {dataset.name: self._curves(dataset.name) for dataset in self.datasets}

    def _curves(self, dataset: str) -> dict[str, tuple[CurvePoint, ...]]:
        names = set(self.images[dataset])
        groups: dict[tuple[str, Quality], list[Measurement]] = {}
        for row in self.measurements.rows:
            if row.dataset == dataset and row.image in names:
                groups.setdefault((row.codec, row.quality), []).append(row)
        sets: dict[tuple[str, Quality], dict[str, float]] = {}
        for one in self.measurements.sets:
            if one.dataset == dataset:
                sets.setdefault((one.codec, one.quality), {})[one.metric] = one.value
        curves: dict[str, list[CurvePoint]] = {}
        for (codec, quality), rows in groups.items():
            if len(rows) == len(names):
                curves.setdefault(codec, []).append(_point(quality, rows, sets.get((codec, quality), {})))
        return {codec: tuple(sorted(points, key=lambda p: p.bpp)) for codec, points in curves.items()}

    def curves_of(self, dataset: str, metric: MetricInfo) -> dict[str, Curve]:
        """Return rates and values of a metric by codec, for codecs that have it; none for a metric that is a rate."""
        curves: dict[str, Curve] = {}
        for codec, points in self.curves[dataset].items() if not metric.is_rate else ():
            having = [p for p in points if metric.name in p.metrics]
            if having:
                curves[codec] = [p.bpp for p in having], [p.metrics[metric.name] for p in having]
        return curves

    def published(self, dataset: str, metric: MetricInfo) -> list[PublishedCurve]:
        """Return the published curves to show beside these: of the metric, where the curves are over the whole set."""
        names = sorted(PurePath(name).name for name in self.images[dataset])
        if names != list(COMPLETE.get(dataset, ())):
            return []
        return [c for c in published_curves() if (c.dataset, c.metric) == (dataset, metric.name)]

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Mapping[str, tuple[Difference | str, Difference | str]]]]:
        """By data set, metric and codec, the Bjøntegaard differences of rate and of quality from the anchor.

        That of rate is in per cent, that of quality in the metric's unit. Where there is none, the reason is in its
        place. Published curves are compared as codecs are, and may be the anchor.
        """
        differences: dict[str, dict[str, dict[str, tuple[Difference | str, Difference | str]]]] = {}
        for dataset in self.curves:
            for metric in self.metrics:
                curves = self.curves_of(dataset, metric)
                curves |= {c.label: (c.rates, c.values) for c in self.published(dataset, metric)}
                if (anchor := curves.get(self.anchor)) is None:
                    continue
                for codec, curve in curves.items():
                    if codec != self.anchor:
                        both = (_difference(of, anchor, curve) for of in (rate_difference, quality_difference))
                        rate, quality = both
                        differences.setdefault(dataset, {}).setdefault(metric.name, {})[codec] = (rate, quality)
        return differences

    @cached_property
    def rate_differences(self) -> Mapping[str, Mapping[str, Mapping[str, Mapping[str, Difference | str]]]]:
        """By data set, metric, codec and what it is compared with, the Bjøntegaard difference of rate, or why not.

        A codec is compared with every other codec, and with published curves.
        """
        differences: dict[str, dict[str, dict[str, dict[str, Difference | str]]]] = {}
        for dataset in self.curves:
            by_metric = differences.setdefault(dataset, {})
            for metric in self.metrics:
                curves = self.curves_of(dataset, metric)
                anchors = curves | {c.label: (c.rates, c.values) for c in self.published(dataset, metric)}
                by_metric[metric.name] = {
                    codec: {
                        against: _difference(rate_difference, anchor, curve)
                        for against, anchor in anchors.items()
                        if against != codec
                    }
                    for codec, curve in curves.items()
                }
        return differences


def _difference(of: Callable[[Curve, Curve], Difference], anchor: Curve, test: Curve) -> Difference | str:
    try:
        return of(anchor, test)
    except InvalidInput as error:
        return str(error)


def _point(quality: Quality, rows: Sequence[Measurement], sets: Mapping[str, float]) -> CurvePoint:
    metrics = {}
    for name in rows[0].metrics:
        values = [value for row in rows if (value := row.metrics.get(name)) is not None]
        if len(values) == len(rows):
            metrics[name] = _mean(values)
    return CurvePoint(
        quality=quality,
        bpp=_mean([row.bpp for row in rows]),
        encode=_mean_cost([row.encode for row in rows]),
        decode=_mean_cost([row.decode for row in rows]),
        metrics={**metrics, **sets},
    )


def _mean_cost(costs: Sequence[Cost]) -> Cost:
    """Return mean times and the largest memory."""
    cpu = [cost.cpu for cost in costs if cost.cpu is not None]
    return Cost(
        _mean([cost.seconds for cost in costs]),
        max((cost.memory for cost in costs if cost.memory is not None), default=None),
        _mean(cpu) if len(cpu) == len(costs) else None,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
