"""What studies found, as plain values for JSON: the reports are made of these."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from tacit import weights
from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve, rate_difference
from tacit.evaluation.provenance import describe_libraries, describe_machine
from tacit.evaluation.results import PROTOCOL, MetricInfo, Point, Results
from tacit.evaluation.runner import Failure, Row
from tacit.study import config as configurations
from tacit.study.ablation import Ablation, codec_name
from tacit.study.captions import CaptionStudy
from tacit.study.conditions import Told
from tacit.study.config import StudyConfig, VariantConfig
from tacit.study.paired import Paired, rates
from tacit.study.steering import Gains, Steering

FORMAT = 1

Values = dict[str, Any]


def _head(config: StudyConfig, command: str, seconds: float) -> Values:
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


def of_ablation(found: Ablation, command: str, seconds: float) -> Values:
    """Points and differences by set. Lists over seeds are in the order of the configuration's."""
    config = found.config
    every = [results for several in found.measured.values() for results in several]
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            "start": _start(found),
            "runs": [
                {
                    "variant": run.variant,
                    "seed": run.seed,
                    "minutes": run.seconds / 60,
                    "weights": weights.describe(run.weights).decode_hash.hex(),
                }
                for run in found.runs
            ],
            "metrics": [_about(metric) for metric in _metrics(every)],
            "skipped": _skipped(every),
            "sets": {name: _ablation_set(found, several) for name, several in found.measured.items()},
        }
    )


def _start(found: Ablation) -> Values | None:
    """Which weights the runs began with: those of a name change from release to release."""
    if found.start is None:
        return None
    with found.start.open("rb") as stream:
        return {"file": Path(found.config.start).name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _metrics(every: Sequence[Results]) -> list[MetricInfo]:
    return list({metric.name: metric for results in every for metric in results.metrics}.values())


def _skipped(several: Sequence[Results] | Sequence[Told]) -> Values:
    """Names, and why, without where somebody's home and data are."""
    why = {name: text for one in several for name, text in one.skipped.items()}
    return {name: str(configurations.contracted(text)).replace(str(Path.home()), "~") for name, text in why.items()}


def _about(metric: MetricInfo) -> Values:
    return dataclasses.asdict(metric)


def _ablation_set(found: Ablation, several: Sequence[Results]) -> Values:
    config = found.config
    baseline = config.variants[0]
    points = {name: of for results in several for curves in results.curves.values() for name, of in curves.items()}
    runs = {(v.name, seed): points.get(codec_name(v, seed), ()) for v in config.variants for seed in config.seeds}
    metrics = [metric.name for metric in _metrics(several) if not metric.is_rate]
    curves = {
        metric.name: {codec: of for r in several for d in r.curves for codec, of in r.curves_of(d, metric).items()}
        for metric in _metrics(several)
    }

    def rate(metric: str, anchor: tuple[VariantConfig, int], test: tuple[VariantConfig, int]) -> float | None:
        return _rate(curves[metric].get(codec_name(*anchor)), curves[metric].get(codec_name(*test)))

    others = [v for v in config.variants if v is not baseline]
    return {
        "images": len(min((of for results in several for of in results.images.values()), key=len)),
        "notes": [note for about in several[0].datasets for note in about.notes],
        "points": {v.name: _points([runs[v.name, seed] for seed in config.seeds]) for v in config.variants},
        # of each seed, from the baseline of that seed
        "rate_percent": {
            metric: {v.name: [rate(metric, (baseline, seed), (v, seed)) for seed in config.seeds] for v in others}
            for metric in metrics
        },
        # what chance alone makes: the baseline's seeds from each other, both ways
        "between_seeds": {
            metric: [
                rate(metric, (baseline, a), (baseline, b))
                for pair in combinations(config.seeds, 2)
                for a, b in (pair, pair[::-1])
            ]
            for metric in metrics
        },
        "over_images": {
            metric: {v.name: _paired(_over_images(found, several, baseline, v, metric)) for v in others}
            for metric in metrics
        },
        "failures": [_failure(f) for results in several for f in results.measured.failures],
    }


def _points(runs: Sequence[Sequence[Point]]) -> list[Values]:
    """By rising quality; lists over seeds."""
    by_quality = [{point.quality: point for point in points} for points in runs]
    common = [q for q in by_quality[0] if all(q in one for one in by_quality)]
    return [
        {
            "quality": quality,
            "bpp": [one[quality].bpp for one in by_quality],
            "encode_seconds": [one[quality].encode.seconds for one in by_quality],
            "encode_cpu_seconds": [one[quality].encode.cpu for one in by_quality],
            "metrics": {
                name: [one[quality].metrics.get(name) for one in by_quality] for name in by_quality[0][quality].metrics
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
    found: Ablation, several: Sequence[Results], baseline: VariantConfig, variant: VariantConfig, metric: str
) -> Paired:
    """Each image's rate difference, in the mean over seeds."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for results in several:
        for row in results.measured.rows:
            if row.metrics.get(metric) is not None:
                rows.setdefault((row.codec, row.image), []).append(row)
    curves = {
        key: ([r.bpp for r in of], [r.metrics[metric] or 0.0 for r in of])
        for key, of in ((key, sorted(of, key=lambda r: r.bpp)) for key, of in rows.items())
    }
    pairs: dict[str, list[tuple[Curve, Curve]]] = {}
    for seed in found.config.seeds:
        a, b = codec_name(baseline, seed), codec_name(variant, seed)
        for codec, image in curves:
            if codec == a and (b, image) in curves:
                pairs.setdefault(image, []).append((curves[a, image], curves[b, image]))
    return rates(pairs)


def of_captions(config: StudyConfig, found: Sequence[CaptionStudy], command: str, seconds: float) -> Values:
    """Means over conditions, and paired differences, by set."""
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            **_told([study.told for study in found]),
            "sets": {
                study.dataset.name: {
                    "images": len(study.dataset.items),
                    "notes": list(study.dataset.notes),
                    "points": _conditions(study.told),
                    "comparisons": [
                        {"told": c.told, "against": c.against, "metric": c.metric, **_paired(c.rate_percent)}
                        for c in study.comparisons
                    ],
                    "failures": [_failure(f) for f in study.told.failures],
                }
                for study in found
            },
        }
    )


def of_steering(config: StudyConfig, found: Steering, command: str, seconds: float) -> Values:
    """PSNR differences in dB at equal bytes."""
    return rounded(  # type: ignore[no-any-return]
        {
            **_head(config, command, seconds),
            **_told(found.told),
            "set": found.dataset.name,
            "notes": list(found.dataset.notes),
            "mosaics": _gains(found.mosaics),
            "by_layout": {name: _gains(gains) for name, gains in found.by_layout.items()},
            "regions": _gains(found.regions),
            "by_region": [
                {**dataclasses.asdict(region), "named": named, "rest": rest, "against_other": other}
                for region, (named, rest, other) in found.by_region.items()
            ],
            "failures": [_failure(f) for told in found.told for f in told.failures],
        }
    )


def _told(several: Sequence[Told]) -> Values:
    return {
        "weights": dict(several[0].settings),
        "metrics": [_about(metric) for metric in {m.name: m for told in several for m in told.metrics}.values()],
        "skipped": _skipped(several),
    }


def _conditions(told: Told) -> Values:
    """Means over the images at each quality, by condition."""
    groups: dict[str, dict[Any, list[Row]]] = {}
    for row in told.rows:
        groups.setdefault(row.dataset, {}).setdefault(row.quality, []).append(row)
    return {
        name: [
            {
                "quality": quality,
                "images": len(rows),
                "bpp": fmean(row.bpp for row in rows),
                "metrics": {
                    m.name: fmean(values)
                    for m in told.metrics
                    if (values := [v for row in rows if (v := row.metrics.get(m.name)) is not None])
                },
            }
            for quality, rows in by_quality.items()
        ]
        for name, by_quality in groups.items()
    }


def _gains(gains: Gains | None) -> Values | None:
    if gains is None:
        return None
    return {f.name: _paired(getattr(gains, f.name)) for f in dataclasses.fields(gains)}


def _paired(paired: Paired) -> Values:
    return {
        "mean": paired.mean,
        "t": paired.t,
        "bootstrap": paired.bootstrap,
        "sure": paired.sure,
        "values": dict(paired.values),
        "left_out": dict(paired.left_out),
    }


def _failure(failure: Failure) -> Values:
    return dataclasses.asdict(failure)


def rounded(value: Any) -> Any:
    """Numbers to six digits, tuples as lists."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [rounded(v) for v in value]
    return value
