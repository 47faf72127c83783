"""The results of studies as plain values for JSON, from which the reports are made."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from tacit import files, weights
from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve, rate_difference
from tacit.evaluation.measurements import Failure, Measurement
from tacit.evaluation.provenance import describe_libraries, describe_machine
from tacit.evaluation.results import PROTOCOL, CurvePoint, MetricInfo, Results
from tacit.study import config as configurations
from tacit.study.ablation_study import AblationResults, codec_name
from tacit.study.caption_conditions import ConditionResults
from tacit.study.caption_study import CaptionStudyResults
from tacit.study.config import StudyConfig, VariantConfig
from tacit.study.oracle_study import OracleSetResults
from tacit.study.statistics import PairedDifferences, rate_differences
from tacit.study.steering_study import SteeringGains, SteeringResults
from tacit.study.survival_study import SurvivalStudy

FORMAT = 1
"""The version of the values' layout."""

Values = dict[str, Any]


def _head(config: StudyConfig, command: str, seconds: float) -> Values:
    """Return what the results of every study begin with."""
    return {
        "kind": "tacit study",
        "format": FORMAT,
        "study": config.kind,
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "seconds": round(seconds, 1),
        "machine": dict(describe_machine()),
        "libraries": dict(describe_libraries()),
        "protocol": PROTOCOL,
        "config": configurations.plain(config),
    }


# -- ablations --------------------------------------------------------------------------------------------------------


def of_ablation(ablation: AblationResults, command: str, seconds: float) -> Values:
    """Return the points and differences of an ablation, by set of images.

    Lists over seeds are in the order of the configuration's seeds.

    Args:
        ablation: What was measured.
        command: How the study can be run again.
        seconds: How long the study took.
    """
    config = ablation.config
    results = [result for set_results in ablation.measured.values() for result in set_results]
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            "start": _start(ablation),
            "runs": [
                {
                    "variant": run.variant,
                    "seed": run.seed,
                    "minutes": run.seconds / 60,
                    "weights": weights.describe(run.weights).decode_hash.hex(),
                }
                for run in ablation.runs
            ],
            "metrics": [dataclasses.asdict(metric) for metric in _metrics(results)],
            "skipped": _skipped(results),
            "sets": {name: _ablation_set(ablation, set_results) for name, set_results in ablation.measured.items()},
        }
    )


def _start(ablation: AblationResults) -> Values | None:
    """Return which weights the runs began with, by their hash: the weights of a name change from release to release."""
    if ablation.start is None:
        return None
    return {"file": Path(ablation.config.start).name, "sha256": files.sha256(ablation.start)}


def _metrics(results: Sequence[Results]) -> list[MetricInfo]:
    return list({metric.name: metric for result in results for metric in result.metrics}.values())


def _skipped(results: Sequence[Results] | Sequence[ConditionResults]) -> Values:
    """Return what was skipped, and why, without the paths of somebody's home and data."""
    reasons = {name: reason for result in results for name, reason in result.skipped.items()}
    return {
        name: str(configurations.contracted(reason)).replace(str(Path.home()), "~") for name, reason in reasons.items()
    }


def _ablation_set(ablation: AblationResults, results: Sequence[Results]) -> Values:
    """Return what was measured on one set of images; `results` has one element for each kind of caption."""
    config = ablation.config
    baseline = config.variants[0]
    points = {
        codec: codec_points
        for result in results
        for curves in result.curves.values()
        for codec, codec_points in curves.items()
    }
    runs = {(v.name, seed): points.get(codec_name(v, seed), ()) for v in config.variants for seed in config.seeds}
    metrics = [metric.name for metric in _metrics(results) if not metric.is_rate]
    curves = {
        metric.name: {
            codec: curve
            for result in results
            for dataset in result.curves
            for codec, curve in result.curves_of(dataset, metric).items()
        }
        for metric in _metrics(results)
    }

    def rate(metric: str, anchor: tuple[VariantConfig, int], test: tuple[VariantConfig, int]) -> float | None:
        return _rate(curves[metric].get(codec_name(*anchor)), curves[metric].get(codec_name(*test)))

    others = [v for v in config.variants if v is not baseline]
    return {
        "images": len(min((images for result in results for images in result.images.values()), key=len)),
        "notes": [note for dataset in results[0].datasets for note in dataset.notes],
        "points": {v.name: _points([runs[v.name, seed] for seed in config.seeds]) for v in config.variants},
        # the difference of each seed from the baseline of that seed
        "rate_percent": {
            metric: {v.name: [rate(metric, (baseline, seed), (v, seed)) for seed in config.seeds] for v in others}
            for metric in metrics
        },
        # the differences that chance alone makes: the baseline's seeds from each other, both ways
        "between_seeds": {
            metric: [
                rate(metric, (baseline, a), (baseline, b))
                for pair in combinations(config.seeds, 2)
                for a, b in (pair, pair[::-1])
            ]
            for metric in metrics
        },
        "over_images": {
            metric: {v.name: _differences(_over_images(ablation, results, baseline, v, metric)) for v in others}
            for metric in metrics
        },
        "failures": [_failure(f) for result in results for f in result.measurements.failures],
    }


def _points(runs: Sequence[Sequence[CurvePoint]]) -> list[Values]:
    """Return points by rising quality, with lists over the runs, which are the seeds."""
    by_quality = [{point.quality: point for point in points} for points in runs]
    common = [q for q in by_quality[0] if all(q in run for run in by_quality)]
    return [
        {
            "quality": quality,
            "bpp": [run[quality].bpp for run in by_quality],
            "encode_seconds": [run[quality].encode.seconds for run in by_quality],
            "encode_cpu_seconds": [run[quality].encode.cpu for run in by_quality],
            "metrics": {
                name: [run[quality].metrics.get(name) for run in by_quality] for name in by_quality[0][quality].metrics
            },
        }
        for quality in common
    ]


def _rate(anchor: Curve | None, test: Curve | None) -> float | None:
    if anchor is None or test is None:
        return None
    try:
        return rate_difference(anchor, test).value
    except InvalidInput:
        return None


def _over_images(
    ablation: AblationResults,
    results: Sequence[Results],
    baseline: VariantConfig,
    variant: VariantConfig,
    metric: str,
) -> PairedDifferences:
    """Return each image's rate difference, as the mean over seeds."""
    rows: dict[tuple[str, str], list[Measurement]] = {}
    for result in results:
        for row in result.measurements.rows:
            if row.metrics.get(metric) is not None:
                rows.setdefault((row.codec, row.image), []).append(row)
    curves = {
        key: ([row.bpp for row in by_rate], [row.metrics[metric] or 0.0 for row in by_rate])
        for key, by_rate in ((key, sorted(unsorted, key=lambda row: row.bpp)) for key, unsorted in rows.items())
    }
    pairs: dict[str, list[tuple[Curve, Curve]]] = {}
    for seed in ablation.config.seeds:
        anchor, test = codec_name(baseline, seed), codec_name(variant, seed)
        for codec, image in curves:
            if codec == anchor and (test, image) in curves:
                pairs.setdefault(image, []).append((curves[anchor, image], curves[test, image]))
    return rate_differences(pairs)


# -- captions and steering --------------------------------------------------------------------------------------------


def of_captions(config: StudyConfig, sets: Sequence[CaptionStudyResults], command: str, seconds: float) -> Values:
    """Return the means and paired differences of a caption study, by set of images.

    Args:
        config: The study's configuration.
        sets: What was measured on each set.
        command: How the study can be run again.
        seconds: How long the study took.
    """
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            **_measured([result.conditions for result in sets]),
            "sets": {
                result.dataset.name: {
                    "images": len(result.dataset.images),
                    "notes": list(result.dataset.notes),
                    "points": _condition_points(result.conditions),
                    "comparisons": [
                        {"told": c.test, "against": c.anchor, "metric": c.metric, **_differences(c.rate_percent)}
                        for c in result.comparisons
                    ],
                    "failures": [_failure(f) for f in result.conditions.failures],
                }
                for result in sets
            },
        }
    )


def of_steering(config: StudyConfig, steering: SteeringResults, command: str, seconds: float) -> Values:
    """Return the PSNR differences in dB at equal bytes of a steering study.

    Args:
        config: The study's configuration.
        steering: What was measured.
        command: How the study can be run again.
        seconds: How long the study took.
    """
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            **_measured(steering.conditions),
            "set": steering.dataset.name,
            "notes": list(steering.dataset.notes),
            "mosaics": _gains(steering.mosaics),
            "by_layout": {name: _gains(gains) for name, gains in steering.by_layout.items()},
            "regions": _gains(steering.regions),
            "by_region": [
                {**dataclasses.asdict(region), "named": named, "rest": rest, "against_other": other}
                for region, (named, rest, other) in steering.by_region.items()
            ],
            "failures": [_failure(f) for results in steering.conditions for f in results.failures],
        }
    )


def of_oracle(config: StudyConfig, sets: Sequence[OracleSetResults], command: str, seconds: float) -> Values:
    """Return the paired differences of an oracle study, by set of images.

    Args:
        config: The study's configuration.
        sets: What was measured on each set.
        command: How the study can be run again.
        seconds: How long the study took.
    """
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            **_measured([result.conditions for result in sets]),
            "sets": {
                result.dataset.name: {
                    "images": len({region.image for region in result.by_region}),
                    "regions": len(result.by_region),
                    "notes": list(result.dataset.notes),
                    "comparisons": [
                        {
                            "test": c.test,
                            "against": c.anchor,
                            "metric": c.metric,
                            "gain": _differences(c.gain),
                            "rate_percent": _differences(c.rate_percent),
                        }
                        for c in result.comparisons
                    ],
                    "shares": {test: dataclasses.asdict(share) for test, share in result.shares.items()},
                    "by_region": [
                        {**dataclasses.asdict(region), "gains": dict(gains)}
                        for region, gains in result.by_region.items()
                    ],
                    "failures": [_failure(f) for f in result.conditions.failures],
                }
                for result in sets
            },
        }
    )


def of_survival(config: StudyConfig, survival: SurvivalStudy, command: str, seconds: float) -> Values:
    """Return what was judged in a survival study, by set of images.

    Args:
        config: The study's configuration.
        survival: What was judged.
        command: How the study can be run again.
        seconds: How long the study took.
    """
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            "weights": dict(survival.settings),
            "metrics": [{"name": name, "protocol": protocol} for name, protocol in survival.measures.items()],
            "skipped": configurations.contracted(dict(survival.skipped)),
            "sets": {
                result.dataset.name: {
                    "images": result.images,
                    "regions": result.regions,
                    "notes": list(result.dataset.notes),
                    "bytes": {f"{rate:g}": sizes for rate, sizes in result.bytes_by_rate.items()},
                    "unreached": {f"{rate:g}": count for rate, count in result.unreached.items()},
                    "survivals": [
                        {
                            "measure": s.measure,
                            "rate": s.rate,
                            "things": s.things,
                            "means": dict(s.means),
                            "differences": [
                                {"test": test, "against": anchor, **_differences(differences)}
                                for (test, anchor), differences in s.differences.items()
                            ],
                        }
                        for s in result.survivals
                    ],
                }
                for result in survival.sets
            },
        }
    )


def _measured(conditions: Sequence[ConditionResults]) -> Values:
    """Return which weights and metrics were measured."""
    metrics = {metric.name: metric for results in conditions for metric in results.metrics}
    return {
        "weights": dict(conditions[0].settings),
        "metrics": [dataclasses.asdict(metric) for metric in metrics.values()],
        "skipped": _skipped(conditions),
    }


def _condition_points(results: ConditionResults) -> Values:
    """Return means over the images at each quality, by condition."""
    rows_by_condition: dict[str, dict[Any, list[Measurement]]] = {}
    for row in results.rows:
        rows_by_condition.setdefault(row.dataset, {}).setdefault(row.quality, []).append(row)
    return {
        condition: [
            {
                "quality": quality,
                "images": len(rows),
                "bpp": fmean(row.bpp for row in rows),
                "metrics": {
                    m.name: fmean(values)
                    for m in results.metrics
                    if (values := [v for row in rows if (v := row.metrics.get(m.name)) is not None])
                },
            }
            for quality, rows in by_quality.items()
        ]
        for condition, by_quality in rows_by_condition.items()
    }


def _gains(gains: SteeringGains | None) -> Values | None:
    if gains is None:
        return None
    return {f.name: _differences(getattr(gains, f.name)) for f in dataclasses.fields(gains)}


def _differences(differences: PairedDifferences) -> Values:
    return {
        "mean": differences.mean,
        "t": differences.t,
        "bootstrap": differences.bootstrap,
        "sure": differences.excludes_zero,
        "values": dict(differences.values),
        "left_out": dict(differences.left_out),
    }


def _failure(failure: Failure) -> Values:
    return dataclasses.asdict(failure)


def rounded(value: Any) -> Any:
    """Return plain values with numbers of six digits, and lists instead of tuples."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [rounded(v) for v in value]
    return value
