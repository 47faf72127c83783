"""One set of weights under several conditions: what its encoder is told of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import InvalidInput, MissingExtra, MissingWeights
from tacit.evaluation.bjontegaard import Curve
from tacit.evaluation.codecs import EvalCodec, Quality, find_codec
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.metrics import Metric, load_metric
from tacit.evaluation.results import MetricInfo
from tacit.evaluation.runner import Failure, Progress, Row, run
from tacit.study.config import MeasureConfig

NOTHING = "no caption"


@dataclass(frozen=True)
class Told:
    """What was measured. Rows' sets are conditions. paths: of the images by name. codec: that reads the files; folder:
    where they are. settings: of the weights. skipped: metrics that could not be used, and why."""

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    paths: Mapping[str, Path]
    codec: EvalCodec
    folder: Path
    settings: Mapping[str, Any]
    metrics: tuple[MetricInfo, ...]
    skipped: Mapping[str, str]

    def curves(self, metric: str) -> dict[tuple[str, str], Curve]:
        """By condition and image: bits per pixel, and values of a metric, of those that have it at every quality."""
        return self.curves_of({_key(row): value for row in self.rows if (value := row.metrics.get(metric)) is not None})

    def curves_of(self, values: Mapping[tuple[str, str, Quality], float]) -> dict[tuple[str, str], Curve]:
        """The same of any values of the rows, by condition, image and quality."""
        groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for row in self.rows:
            if _key(row) in values:
                groups.setdefault((row.dataset, row.image), []).append((row.bpp, values[_key(row)]))
        most = max((len(points) for points in groups.values()), default=0)
        return {
            key: ([rate for rate, _ in sorted(points)], [value for _, value in sorted(points)])
            for key, points in groups.items()
            if len(points) == most
        }


def _key(row: Row) -> tuple[str, str, Quality]:
    return row.dataset, row.image, row.quality


def telling(steer: float) -> str:
    """What stands behind the weights for the encoder to be told captions, and to steer by so many steps."""
    return f"+captions+steer{steer:g}"


def measure(
    weights: str,
    conditions: Mapping[str, Sequence[Dataset]],
    config: MeasureConfig,
    out: Path,
    progress: Progress,
    jobs: int,
) -> Told:
    """Every condition, by the evaluation harness; `out` keeps what is done.

    conditions: sets whose captions are what the encoder is told, by what stands behind the weights in `tacit eval`,
    which is nothing for the set that is told nothing.

    Raises: as `tacit.evaluation.runner.run`; InvalidInput, where no metric is left.
    """
    plain = find_codec(weights, precision=config.precision)
    metrics, skipped = _metrics(config.metrics, progress)
    qualities: list[Quality] = [plain.check(q) for q in config.qualities]
    rows: list[Row] = []
    failures: list[Failure] = []
    for options, own in conditions.items():
        codec = find_codec(f"{weights}{options}", precision=config.precision)
        found = run(own, [codec], metrics, {codec.name: qualities}, out, progress, jobs=jobs)
        rows += found.rows
        failures += found.failures
    if not rows:
        raise InvalidInput("nothing could be measured")
    about = tuple(MetricInfo(m.name, m.unit, m.higher_is_better, m.protocol) for m in metrics)
    paths = {item.name: item.path for own in conditions.values() for condition in own for item in condition.items}
    return Told(tuple(rows), tuple(failures), paths, plain, out, plain.settings(), about, skipped)


def _metrics(names: Sequence[str], progress: Progress) -> tuple[list[Metric], dict[str, str]]:
    """Metrics of single images, and why others are skipped."""
    found: list[Metric] = []
    skipped: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            metric = load_metric(name)
        except (MissingExtra, MissingWeights) as error:
            skipped[name] = str(error)
        else:
            if metric.level == "image":
                found.append(metric)
            else:
                skipped[name] = f"{name} is a number for a whole set, and images are compared one by one here"
    for text in skipped.values():
        progress.say(f"skipped: {text}")
    if not found:
        raise InvalidInput("no metric is left to measure with")
    return found, skipped
