"""Caption conditions: one set of weights measured several times, with another caption of each image every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import InvalidInput, MissingExtra, MissingWeights
from tacit.evaluation.bjontegaard import Curve
from tacit.evaluation.codecs import EvalCodec, Quality, find_codec
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.measurements import Failure, Measurement
from tacit.evaluation.metrics import Metric, load_metric
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.results import MetricInfo
from tacit.evaluation.runner import run
from tacit.study.config import MeasureConfig

NO_CAPTION = "no caption"
"""The name of the condition in which the encoder gets no caption."""


@dataclass(frozen=True, kw_only=True)
class ConditionResults:
    """What was measured under all conditions. The rows' data sets are the conditions."""

    rows: tuple[Measurement, ...]
    """One row for each file."""
    failures: tuple[Failure, ...]
    """What could not be measured."""
    paths: Mapping[str, Path]
    """The images' files, by the images' names."""
    codec: EvalCodec
    """The codec that decodes the files."""
    folder: Path
    """Where the files are."""
    settings: Mapping[str, Any]
    """The settings of the weights, as `tacit eval` reports them."""
    metrics: tuple[MetricInfo, ...]
    """The metrics that were measured."""
    skipped: Mapping[str, str]
    """The metrics that could not be measured, and why."""

    def curves(self, metric: str) -> dict[tuple[str, str], Curve]:
        """Return curves of a metric over bits per pixel, by condition and image.

        An image that lacks the metric at one of the qualities is left out.
        """
        return self.curves_of({_key(row): value for row in self.rows if (value := row.metrics.get(metric)) is not None})

    def curves_of(self, values: Mapping[tuple[str, str, Quality], float]) -> dict[tuple[str, str], Curve]:
        """Return curves of any values over bits per pixel, by condition and image.

        Args:
            values: Values by condition, image and quality.
        """
        points: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for row in self.rows:
            if _key(row) in values:
                points.setdefault((row.dataset, row.image), []).append((row.bpp, values[_key(row)]))
        complete = max((len(curve) for curve in points.values()), default=0)
        return {
            key: ([rate for rate, _ in sorted(curve)], [value for _, value in sorted(curve)])
            for key, curve in points.items()
            if len(curve) == complete
        }


def _key(row: Measurement) -> tuple[str, str, Quality]:
    return row.dataset, row.image, row.quality


def caption_options(steer: float) -> str:
    """Return what follows the weights in `tacit eval` so that the encoder gets captions and steers by them."""
    return f"+captions+steer{steer:g}"


def measure_conditions(
    weights: str,
    conditions: Mapping[str, Sequence[Dataset]],
    config: MeasureConfig,
    out: Path,
    progress: EvalProgress,
    jobs: int,
) -> ConditionResults:
    """Measure weights under every condition with the evaluation harness.

    Args:
        weights: The weights, by their name or path.
        conditions: Sets whose captions are those that the encoder gets, by what follows the weights in `tacit eval`
            (`caption_options`; empty for sets without captions). A set's name is that of the condition.
        config: The qualities, metrics and precision.
        out: The folder that keeps what is done.
        progress: Takes what is reported.
        jobs: The number of processes.

    Raises:
        InvalidInput: No metric can be measured, or no file was.
        UnknownModel: There are no weights of that name.
        PathError: A file cannot be read or written.
    """
    codecs = [
        (find_codec(f"{weights}{options}", precision=config.precision), sets) for options, sets in conditions.items()
    ]
    return measure_codecs(find_codec(weights, precision=config.precision), codecs, config, out, progress, jobs)


def measure_codecs(
    codec: EvalCodec,
    conditions: Sequence[tuple[EvalCodec, Sequence[Dataset]]],
    config: MeasureConfig,
    out: Path,
    progress: EvalProgress,
    jobs: int,
) -> ConditionResults:
    """Measure conditions that each have a codec, which need not be one that `tacit eval` knows.

    Args:
        codec: The codec that decodes all of their files.
        conditions: Codecs, each with the sets that it encodes. A set's name is that of the condition.
        config: As for `measure_conditions`.
        out: As for `measure_conditions`.
        progress: As for `measure_conditions`.
        jobs: As for `measure_conditions`.

    Raises:
        InvalidInput: No metric can be measured, or no file was.
        PathError: A file cannot be read or written.
    """
    metrics, skipped = _load_metrics(config.metrics, progress)
    qualities: list[Quality] = [codec.check(q) for q in config.qualities]
    rows: list[Measurement] = []
    failures: list[Failure] = []
    for condition_codec, sets in conditions:
        measured = run(sets, [condition_codec], metrics, {condition_codec.name: qualities}, out, progress, jobs=jobs)
        rows += measured.rows
        failures += measured.failures
    if not rows:
        raise InvalidInput("no file could be measured")
    return ConditionResults(
        rows=tuple(rows),
        failures=tuple(failures),
        paths={item.name: item.path for _, sets in conditions for dataset in sets for item in dataset.images},
        codec=codec,
        folder=out,
        settings=codec.settings(),
        metrics=tuple(MetricInfo(m.name, m.unit, m.higher_is_better, m.protocol) for m in metrics),
        skipped=skipped,
    )


def _load_metrics(names: Sequence[str], progress: EvalProgress) -> tuple[list[Metric], dict[str, str]]:
    """Load the metrics of single images, and say why the others are skipped."""
    metrics: list[Metric] = []
    skipped: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            metric = load_metric(name)
        except (MissingExtra, MissingWeights) as error:
            skipped[name] = str(error)
        else:
            if metric.level == "image":
                metrics.append(metric)
            else:
                skipped[name] = f"{name} is a metric of a whole set, and a study compares single images"
    for text in skipped.values():
        progress.say(f"skipped: {text}")
    if not metrics:
        raise InvalidInput("none of the metrics can be measured")
    return metrics, skipped
