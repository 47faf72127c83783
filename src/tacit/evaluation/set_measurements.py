"""Metrics of whole data sets, computed from the codecs' files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tacit.errors import InvalidInput, TacitError
from tacit.evaluation.codecs.protocol import Quality
from tacit.evaluation.journal import Journal
from tacit.evaluation.measurements import Failure, Measurement, SetMeasurement
from tacit.evaluation.measuring import one_line, raise_if_disk_full
from tacit.evaluation.metrics import Metric, load_metric
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.tasks import EvalTask, digest


def measure_sets(
    tasks: Sequence[EvalTask], rows: Sequence[Measurement], metrics: Sequence[Metric], journal: Journal
) -> tuple[list[SetMeasurement], list[Failure]]:
    """Compute metrics of whole data sets, for each quality of each codec.

    Args:
        tasks: The tasks of the run.
        rows: The images that were measured; only their files count.
        metrics: Metrics whose level is "set".
        journal: Where values are kept, and where earlier ones are found.

    Returns:
        The values, and what could not be computed.

    Raises:
        PathError: The disk is full.
    """
    if not metrics:
        return [], []
    measured = {(row.dataset, row.image, row.codec, row.quality) for row in rows}
    groups: dict[tuple[str, str, Quality], list[EvalTask]] = {}
    for task in tasks:
        if (task.dataset, task.image.name, task.codec.name, task.quality) in measured:
            groups.setdefault((task.dataset, task.codec.name, task.quality), []).append(task)
    values: list[SetMeasurement] = []
    failures: list[Failure] = []
    for (dataset, codec, quality), members in groups.items():
        for metric in metrics:
            key = digest([metric.name, metric.protocol, [task.key for task in members]])
            if key not in journal.entries:
                try:
                    value = _set_value(metric, members)
                except Exception as error:  # a codec's library may raise anything
                    raise_if_disk_full(error)
                    kind = "" if isinstance(error, TacitError) else f"{type(error).__name__}: "
                    reason = f"{metric.name}: {kind}{one_line(error)[:300]}"
                    failures.append(Failure(dataset=dataset, codec=codec, quality=quality, reason=reason))
                    continue
                journal.append({"key": key, "metric": metric.name, "codec": codec, "quality": quality, "value": value})
            values.append(
                SetMeasurement(
                    dataset=dataset,
                    codec=codec,
                    quality=quality,
                    metric=metric.name,
                    value=journal.entries[key]["value"],
                )
            )
    return values, failures


def _set_value(metric: Metric, tasks: Sequence[EvalTask]) -> float:
    collecting: Any = load_metric(metric.name)
    for task in tasks:
        decoded, _ = task.codec.decode(task.folder / task.file, task.quality, task.threads)
        collecting.update(load_pixels(task.image.path), decoded)
    value = float(f"{collecting.compute():.7g}")
    if not math.isfinite(value):
        raise InvalidInput(f"its value is {value}")
    return value
