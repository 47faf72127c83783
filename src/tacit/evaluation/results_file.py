"""The JSON file of an evaluation's results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tacit import files
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.bjontegaard import Difference
from tacit.evaluation.cost import Cost
from tacit.evaluation.measurements import Failure, Measurement, Measurements, SetMeasurement
from tacit.evaluation.readable_json import dumps
from tacit.evaluation.results import PROTOCOL, DatasetInfo, ImageInfo, MetricInfo, Results

FORMAT = 1


def save(results: Results, path: Path) -> None:
    """Write the JSON file.

    Raises:
        PathError: The file cannot be written.
    """
    files.write(str(path), dumps(to_json(results)).encode(), force=True)


def load(path: Path) -> Results:
    """Read a file that `save` wrote.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: It is another kind of file, or of a newer format.
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
        raise InvalidInput(
            f"{path}: the format must be {FORMAT} for this version of tacit, got {content.get('format')}"
        )
    try:
        return from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"{path}: damaged results ({error!r})") from error


def to_json(results: Results) -> dict[str, Any]:
    """Return the results for JSON, with what follows from them (curves and differences) for other programs."""
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
                    codec: {"rate_percent": _difference_json(rate), "quality": _difference_json(quality)}
                    for codec, (rate, quality) in codecs.items()
                }
                for metric, codecs in metrics.items()
            }
            for dataset, metrics in results.differences.items()
        },
        "rows": [dataclasses.asdict(row) for row in results.measurements.rows],
        "sets": [dataclasses.asdict(one) for one in results.measurements.sets],
        "failures": [dataclasses.asdict(failure) for failure in results.measurements.failures],
    }


def from_json(content: Mapping[str, Any]) -> Results:
    """Return the results of what `to_json` returned; curves and differences are computed again."""
    return Results(
        command=content["command"],
        date=content["date"],
        seconds=content["seconds"],
        machine=content["machine"],
        libraries=content["libraries"],
        datasets=tuple(
            DatasetInfo(d["name"], tuple(ImageInfo(**i) for i in d["images"]), tuple(d["notes"]))
            for d in content["datasets"]
        ),
        codecs=content["codecs"],
        metrics=tuple(MetricInfo(**m) for m in content["metrics"]),
        skipped=content["skipped"],
        anchor=content["anchor"],
        measurements=Measurements(
            tuple(
                Measurement(**{**r, "encode": Cost(**r["encode"]), "decode": Cost(**r["decode"])})
                for r in content["rows"]
            ),
            tuple(SetMeasurement(**s) for s in content["sets"]),
            tuple(Failure(**f) for f in content["failures"]),
        ),
    )


def _difference_json(difference: Difference | str) -> dict[str, Any]:
    if isinstance(difference, str):
        return {"refused": difference}
    return _rounded(dataclasses.asdict(difference))  # type: ignore[no-any-return]


def _rounded(value: Any) -> Any:
    """Round to seven digits, as measured values are: no figure is known more exactly than that."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    return value
