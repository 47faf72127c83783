"""What the caption does: the same weights with none, with the image's own, and with another image's."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.runner import Progress
from tacit.study import sets
from tacit.study.conditions import NOTHING, Told, measure
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
    conditions = [sets.given(dataset, NOTHING, None)]
    kinds = config.kinds
    for kind in kinds:
        texts = sets.captions(one, dataset, kind) or {}
        if len(set(texts.values())) < 2:
            raise InvalidInput(f"{dataset.name}: two different {kind} captions or more are needed")
        conditions.append(sets.given(dataset, own(kind), texts))
        # spread over the set, so that neighbours, which may be alike, are not all there is
        shifts = [max(1, round((r + 1) * len(texts) / (config.rotations + 1))) for r in range(config.rotations)]
        conditions += [
            sets.given(dataset, f"{another(kind)}, {shift} on", sets.rotated(texts, shift))
            for shift in dict.fromkeys(shifts)
        ]
    told = measure(config.weights, conditions, config.measure, out, progress, jobs)
    pairs = [(own(kind), NOTHING) for kind in kinds]
    pairs += [(another(kind), NOTHING) for kind in kinds]
    pairs += [(own(kind), another(kind)) for kind in kinds]
    pairs += [(own(b), own(a)) for a, b in pairwise(kinds)]
    names = [c.name for c in conditions]
    found = [_compare(told, names, *pair, metric.name) for metric in told.metrics for pair in pairs]
    return CaptionStudy(dataset, told, tuple(found))


def own(kind: str) -> str:
    """The condition of each image's own caption."""
    return f"{kind} caption"


def another(kind: str) -> str:
    """The conditions of other images' captions begin so."""
    return f"another's {kind} caption"


def _compare(told: Told, conditions: list[str], test: str, anchor: str, metric: str) -> Comparison:
    """Each condition may be several, as another's captions are: then every pair counts, and an image's mean."""
    curves = told.curves(metric)
    images = dict.fromkeys(image for _, image in curves)
    sides = [[c for c in conditions if c == name or c.startswith(f"{name}, ")] for name in (anchor, test)]
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
