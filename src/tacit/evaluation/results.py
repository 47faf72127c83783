"""What an evaluation found, from images to curves and their differences; kept as one JSON file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from tacit import files
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.bjontegaard import Curve, Difference, quality_difference, rate_difference
from tacit.evaluation.codecs import Quality
from tacit.evaluation.cost import Cost
from tacit.evaluation.datasets import KODAK
from tacit.evaluation.pretty import dumps
from tacit.evaluation.published import PUBLISHED, PublishedCurve
from tacit.evaluation.runner import Failure, Measured, Row, SetRow

FORMAT = 1
PROTOCOL = (
    "Files are written and read back. Rate: bits of the whole file per pixel. Metrics: of 8-bit RGB decoded from the "
    "file. Both are means over the images, each image counting once."
)


@dataclass(frozen=True)
class ImageInfo:
    """An image that was measured."""

    name: str
    sha256: str
    caption: str | None


@dataclass(frozen=True)
class DatasetInfo:
    """A set that was measured."""

    name: str
    images: tuple[ImageInfo, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MetricInfo:
    """A metric that was used."""

    name: str
    unit: str
    higher_is_better: bool
    protocol: str

    @property
    def is_rate(self) -> bool:
        """Another way of counting bits: it stands in tables, and makes no curve."""
        return self.unit == "bpp"


@dataclass(frozen=True)
class Point:
    """A codec at one quality, over a set: means over the images; memory is the largest of any image."""

    quality: Quality
    bpp: float
    encode: Cost
    decode: Cost
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Results:
    """An evaluation.

    command, date, tacit's version in `libraries`, machine: where it is from. codecs: settings by name. skipped: sets,
    codecs and metrics that could not be used, and why. anchor: the codec that others are compared with.
    """

    command: str
    date: str
    seconds: float
    machine: Mapping[str, Any]
    libraries: Mapping[str, str]
    datasets: tuple[DatasetInfo, ...]
    codecs: Mapping[str, Mapping[str, Any]]
    metrics: tuple[MetricInfo, ...]
    skipped: Mapping[str, str]
    anchor: str
    measured: Measured

    @cached_property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """By set, the images that curves are over: those that every codec has at all of its qualities. A codec that
        has no image whole, for instance since there are no captions, does not count."""
        found = {}
        for dataset in self.datasets:
            rows = [row for row in self.measured.rows if row.dataset == dataset.name]
            whole = []
            for codec in self.codecs:
                own = [row for row in rows if row.codec == codec]
                qualities = {row.quality for row in own}
                had: dict[str, set[Quality]] = {}
                for row in own:
                    had.setdefault(row.image, set()).add(row.quality)
                names = {image for image, of in had.items() if of == qualities}
                whole += [names] if names else []
            common = set.intersection(*whole) if whole else set()
            found[dataset.name] = tuple(image.name for image in dataset.images if image.name in common)
        return found

    def left_out(self, dataset: str) -> tuple[str, ...]:
        """The images of a set that curves are not over."""
        (about,) = (d for d in self.datasets if d.name == dataset)
        return tuple(image.name for image in about.images if image.name not in self.images[dataset])

    @cached_property
    def curves(self) -> Mapping[str, Mapping[str, tuple[Point, ...]]]:
        """By set and codec: its points by rising rate. A metric is there if every image of the point has it."""
        return {dataset.name: self._curves(dataset.name) for dataset in self.datasets}

    def _curves(self, dataset: str) -> dict[str, tuple[Point, ...]]:
        names = set(self.images[dataset])
        groups: dict[tuple[str, Quality], list[Row]] = {}
        for row in self.measured.rows:
            if row.dataset == dataset and row.image in names:
                groups.setdefault((row.codec, row.quality), []).append(row)
        sets: dict[tuple[str, Quality], dict[str, float]] = {}
        for one in self.measured.sets:
            if one.dataset == dataset:
                sets.setdefault((one.codec, one.quality), {})[one.metric] = one.value
        found: dict[str, list[Point]] = {}
        for (codec, quality), rows in groups.items():
            if len(rows) == len(names):
                found.setdefault(codec, []).append(_point(quality, rows, sets.get((codec, quality), {})))
        return {codec: tuple(sorted(points, key=lambda p: p.bpp)) for codec, points in found.items()}

    def curves_of(self, dataset: str, metric: MetricInfo) -> dict[str, Curve]:
        """Rates and values by codec, of those that have the metric; nothing where it is another rate."""
        found: dict[str, Curve] = {}
        for codec, points in self.curves[dataset].items() if not metric.is_rate else ():
            having = [p for p in points if metric.name in p.metrics]
            if having:
                found[codec] = [p.bpp for p in having], [p.metrics[metric.name] for p in having]
        return found

    def published(self, dataset: str, metric: MetricInfo) -> list[PublishedCurve]:
        """Curves from papers that belong beside these: of the metric, where the curves are over the whole of Kodak."""
        whole = sorted(PurePath(name).name for name in self.images[dataset]) == list(KODAK)
        return [c for c in PUBLISHED if (c.dataset, c.metric) == (dataset, metric.name)] if whole else []

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Mapping[str, tuple[Difference | str, Difference | str]]]]:
        """By set, metric and codec: the Bjoentegaard differences of rate (per cent) and of quality (the metric's unit)
        from the anchor, or in their place why there is none."""
        found: dict[str, dict[str, dict[str, tuple[Difference | str, Difference | str]]]] = {}
        for dataset in self.curves:
            for metric in self.metrics:
                having = self.curves_of(dataset, metric)
                if (anchor := having.get(self.anchor)) is None:
                    continue
                for codec, curve in having.items():
                    if codec != self.anchor:
                        both = tuple(_difference(of, anchor, curve) for of in (rate_difference, quality_difference))
                        found.setdefault(dataset, {}).setdefault(metric.name, {})[codec] = (both[0], both[1])
        return found

    @cached_property
    def rate_differences(self) -> Mapping[str, Mapping[str, Mapping[str, Mapping[str, Difference | str]]]]:
        """By set, metric, codec and the codec that it is compared with, or a curve from a paper: the Bjoentegaard
        difference of rate, or why there is none."""
        found: dict[str, dict[str, dict[str, dict[str, Difference | str]]]] = {}
        for dataset in self.curves:
            of = found.setdefault(dataset, {})
            for metric in self.metrics:
                curves = self.curves_of(dataset, metric)
                anchors = curves | {c.label: (c.rates, c.values) for c in self.published(dataset, metric)}
                of[metric.name] = {
                    codec: {
                        against: _difference(rate_difference, anchor, curve)
                        for against, anchor in anchors.items()
                        if against != codec
                    }
                    for codec, curve in curves.items()
                }
        return found


def _difference(of: Callable[[Curve, Curve], Difference], anchor: Curve, test: Curve) -> Difference | str:
    try:
        return of(anchor, test)
    except InvalidInput as error:
        return str(error)


def _point(quality: Quality, rows: Sequence[Row], sets: Mapping[str, float]) -> Point:
    metrics = {}
    for name in rows[0].metrics:
        values = [value for row in rows if (value := row.metrics.get(name)) is not None]
        if len(values) == len(rows):
            metrics[name] = _mean(values)
    return Point(
        quality,
        _mean([row.bpp for row in rows]),
        _cost([row.encode for row in rows]),
        _cost([row.decode for row in rows]),
        {**metrics, **sets},
    )


def _cost(costs: Sequence[Cost]) -> Cost:
    cpu = [cost.cpu for cost in costs if cost.cpu is not None]
    return Cost(
        _mean([cost.seconds for cost in costs]),
        max((cost.memory for cost in costs if cost.memory is not None), default=None),
        _mean(cpu) if len(cpu) == len(costs) else None,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# -- JSON -------------------------------------------------------------------------------------------------------------


def save(results: Results, path: Path) -> None:
    """Write the JSON file.

    Raises: PathError.
    """
    files.write(str(path), dumps(to_json(results)).encode(), force=True)


def load(path: Path) -> Results:
    """Read what `save` wrote.

    Raises: PathError; InvalidInput, where it is another kind of file, or of a newer format.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise PathError(f"{path}: {files.reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("kind") != "tacit eval":
        raise InvalidInput(f"{path}: not a result of tacit eval")
    if content.get("format") != FORMAT:
        raise InvalidInput(f"{path}: results of format {content.get('format')}, this tacit reads {FORMAT}")
    try:
        return from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"{path}: damaged results ({error!r})") from error


def to_json(results: Results) -> dict[str, Any]:
    """Everything, with what follows from it (curves and differences) for other programs."""
    return {
        "kind": "tacit eval",
        "format": FORMAT,
        "command": results.command,
        "date": results.date,
        "seconds": results.seconds,
        "machine": dict(results.machine),
        "libraries": dict(results.libraries),
        "protocol": PROTOCOL,
        "datasets": [dataclasses.asdict(d) for d in results.datasets],
        "codecs": {name: dict(settings) for name, settings in results.codecs.items()},
        "metrics": [dataclasses.asdict(m) for m in results.metrics],
        "skipped": dict(results.skipped),
        "anchor": results.anchor,
        "images": {name: list(images) for name, images in results.images.items()},
        "curves": {
            dataset: {codec: [_rounded(dataclasses.asdict(p)) for p in points] for codec, points in curves.items()}
            for dataset, curves in results.curves.items()
        },
        "differences": {
            dataset: {
                metric: {
                    codec: {"rate_percent": _said(rate), "quality": _said(quality)}
                    for codec, (rate, quality) in codecs.items()
                }
                for metric, codecs in metrics.items()
            }
            for dataset, metrics in results.differences.items()
        },
        "rows": [dataclasses.asdict(row) for row in results.measured.rows],
        "sets": [dataclasses.asdict(one) for one in results.measured.sets],
        "failures": [dataclasses.asdict(failure) for failure in results.measured.failures],
    }


def from_json(content: Mapping[str, Any]) -> Results:
    """The inverse; curves and differences are computed again."""
    rows = tuple(Row(**{**r, "encode": Cost(**r["encode"]), "decode": Cost(**r["decode"])}) for r in content["rows"])
    return Results(
        content["command"],
        content["date"],
        content["seconds"],
        content["machine"],
        content["libraries"],
        tuple(
            DatasetInfo(d["name"], tuple(ImageInfo(**i) for i in d["images"]), tuple(d["notes"]))
            for d in content["datasets"]
        ),
        content["codecs"],
        tuple(MetricInfo(**m) for m in content["metrics"]),
        content["skipped"],
        content["anchor"],
        Measured(
            rows,
            tuple(SetRow(**s) for s in content["sets"]),
            tuple(Failure(**f) for f in content["failures"]),
        ),
    )


def _said(difference: Difference | str) -> dict[str, Any]:
    if isinstance(difference, str):
        return {"refused": difference}
    return _rounded(dataclasses.asdict(difference))  # type: ignore[no-any-return]


def _rounded(value: Any) -> Any:
    """To seven digits, as measured values are: more than any of it can be known to."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    return value
