"""What the caption does: the same weights with none, with the image's own, and with another image's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.runner import Progress
from tacit.study import sets
from tacit.study.conditions import NOTHING, Told, measure, telling
from tacit.study.config import CaptionStudyConfig, SetConfig
from tacit.study.paired import Paired, rates


@dataclass(frozen=True)
class Comparison:
    """What the image gains from `told` against `against`: rate differences in per cent at equal values of a metric."""

    told: str
    against: str
    metric: str
    rate_percent: Paired


@dataclass(frozen=True)
class CaptionStudy:
    """Of one set."""

    dataset: Dataset
    told: Told
    comparisons: tuple[Comparison, ...]


def caption_study(
    config: CaptionStudyConfig, out: Path, progress: Progress, *, jobs: int = 1
) -> tuple[CaptionStudy, ...]:
    """Every set that is here. `out` keeps what is done.

    Raises: InvalidInput, PathError, UnknownModel, MissingExtra.
    """
    return tuple(
        _study(config, one, dataset, out / "measured" / dataset.name, progress, jobs)
        for one, dataset in sets.find(config.measure.sets, config.kinds, progress)
    )


def _study(
    config: CaptionStudyConfig, one: SetConfig, dataset: Dataset, out: Path, progress: Progress, jobs: int
) -> CaptionStudy:
    conditions = {"": [sets.given(dataset, NOTHING, None)]}
    pairs = []
    for steer in config.steer:
        told = conditions.setdefault(telling(steer), [])
        for kind in config.kinds:
            texts = sets.captions(one, dataset, kind) or {}
            if len(set(texts.values())) < 2:
                raise InvalidInput(f"{dataset.name}: two different {kind} captions or more are needed")
            told.append(sets.given(dataset, own(kind, steer), texts))
            # spread over the set, so that neighbours, which may be alike, are not all there is
            shifts = [max(1, round((r + 1) * len(texts) / (config.rotations + 1))) for r in range(config.rotations)]
            told += [
                sets.given(dataset, f"{another(kind, steer)}, {shift} on", sets.rotated(texts, shift))
                for shift in dict.fromkeys(shifts)
            ]
        pairs += [(own(kind, steer), NOTHING) for kind in config.kinds]
        pairs += [(another(kind, steer), NOTHING) for kind in config.kinds]
        pairs += [(own(kind, steer), another(kind, steer)) for kind in config.kinds]
        pairs += [(own(b, steer), own(a, steer)) for a, b in pairwise(config.kinds)]
    found = measure(config.weights, conditions, config.measure, out, progress, jobs)
    names = [c.name for several in conditions.values() for c in several]
    compared = [_compare(found, names, *pair, metric.name) for metric in found.metrics for pair in pairs]
    return CaptionStudy(dataset, found, tuple(compared))


def own(kind: str, steer: float) -> str:
    """The condition of each image's own caption."""
    return f"{kind} caption{_steered(steer)}"


def another(kind: str, steer: float) -> str:
    """The conditions of other images' captions begin so."""
    return f"another's {kind} caption{_steered(steer)}"


def _steered(steer: float) -> str:
    return f", steering {steer:g}" if steer else ""


def _compare(told: Told, conditions: list[str], test: str, anchor: str, metric: str) -> Comparison:
    """Each condition may be several, as another's captions are: then every pair counts, and an image's mean."""
    curves = told.curves(metric)
    images = dict.fromkeys(image for _, image in curves)
    sides = [[c for c in conditions if re.fullmatch(rf"{re.escape(name)}(, \d+ on)?", c)] for name in (anchor, test)]
    pairs = {}
    for image in images:
        found = [
            (curves[a, image], curves[b, image])
            for a in sides[0]
            for b in sides[1]
            if (a, image) in curves and (b, image) in curves
        ]
        if found:
            pairs[image] = found
    return Comparison(test, anchor, metric, rates(pairs))
