"""The caption study: the same weights with no caption, with each image's own, and with other images' captions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.progress import EvalProgress
from tacit.study.caption_conditions import NO_CAPTION, ConditionResults, caption_options, measure_conditions
from tacit.study.config import CaptionStudyConfig, SetConfig
from tacit.study.image_sets import available_sets, captions_of_kind, rotated_captions, with_captions
from tacit.study.statistics import PairedDifferences, rate_differences


@dataclass(frozen=True)
class ConditionComparison:
    """What one condition costs or saves against another, at equal values of a metric."""

    test: str
    """The condition that is compared."""
    anchor: str
    """The condition that it is compared with."""
    metric: str
    """The metric's name."""
    rate_percent: PairedDifferences
    """The images' rate differences in per cent; negative where the test condition needs fewer bits."""


@dataclass(frozen=True)
class CaptionStudyResults:
    """What the caption study measured on one set of images."""

    dataset: Dataset
    conditions: ConditionResults
    comparisons: tuple[ConditionComparison, ...]


def run_caption_study(
    config: CaptionStudyConfig, out: Path, progress: EvalProgress, *, jobs: int = 1
) -> tuple[CaptionStudyResults, ...]:
    """Run the caption study on every set of images that exists on this machine.

    Args:
        config: The study's configuration.
        out: The folder that keeps what is done.
        progress: Takes what is reported.
        jobs: The number of processes.

    Raises:
        InvalidInput: No set can be used, or the captions are too few.
        PathError: A file cannot be read or written.
        UnknownModel: There are no weights of the configured name.
        MissingExtra: A library that is needed is not installed.
    """
    return tuple(
        _run_on_set(config, set_config, dataset, out / "measured" / dataset.name, progress, jobs)
        for set_config, dataset in available_sets(config.measure.sets, config.kinds, progress)
    )


def _run_on_set(
    config: CaptionStudyConfig, set_config: SetConfig, dataset: Dataset, out: Path, progress: EvalProgress, jobs: int
) -> CaptionStudyResults:
    conditions = {"": [with_captions(dataset, NO_CAPTION, {})]}
    pairs = []  # of conditions: test, anchor
    for steer in config.steer:
        with_steering = conditions.setdefault(caption_options(steer), [])
        for kind in config.kinds:
            captions = captions_of_kind(set_config, dataset, kind) or {}
            if len(set(captions.values())) < 2:
                raise InvalidInput(f"{dataset.name}: must have at least two different {kind} captions")
            with_steering.append(with_captions(dataset, own_caption(kind, steer), captions))
            # spread over the set, so that neighbours, which may be alike, are not the only ones
            shifts = [max(1, round((r + 1) * len(captions) / (config.rotations + 1))) for r in range(config.rotations)]
            with_steering += [
                with_captions(dataset, f"{other_caption(kind, steer)}, {shift} on", rotated_captions(captions, shift))
                for shift in dict.fromkeys(shifts)
            ]
        pairs += [(own_caption(kind, steer), NO_CAPTION) for kind in config.kinds]
        pairs += [(other_caption(kind, steer), NO_CAPTION) for kind in config.kinds]
        pairs += [(own_caption(kind, steer), other_caption(kind, steer)) for kind in config.kinds]
        pairs += [(own_caption(b, steer), own_caption(a, steer)) for a, b in pairwise(config.kinds)]
    results = measure_conditions(config.weights, conditions, config.measure, out, progress, jobs)
    names = [dataset.name for sets in conditions.values() for dataset in sets]
    comparisons = [_compare(results, names, *pair, metric.name) for metric in results.metrics for pair in pairs]
    return CaptionStudyResults(dataset, results, tuple(comparisons))


def own_caption(kind: str, steer: float) -> str:
    """Return the name of the condition in which the encoder gets each image's own caption."""
    return f"{kind} caption{_steering_suffix(steer)}"


def other_caption(kind: str, steer: float) -> str:
    """Return how the names of the conditions begin in which the encoder gets another image's caption."""
    return f"another's {kind} caption{_steering_suffix(steer)}"


def _steering_suffix(steer: float) -> str:
    return f", steering {steer:g}" if steer else ""


def _compare(
    results: ConditionResults, conditions: Sequence[str], test: str, anchor: str, metric: str
) -> ConditionComparison:
    """Compare two conditions.

    Either of them may have been measured several times, as that of other images' captions is. Then every pair of their
    curves counts, and an image's difference is the mean.
    """
    curves = results.curves(metric)
    images = dict.fromkeys(image for _, image in curves)
    anchors, tests = (
        [c for c in conditions if re.fullmatch(rf"{re.escape(name)}(, \d+ on)?", c)] for name in (anchor, test)
    )
    pairs = {}
    for image in images:
        image_pairs = [
            (curves[a, image], curves[b, image])
            for a in anchors
            for b in tests
            if (a, image) in curves and (b, image) in curves
        ]
        if image_pairs:
            pairs[image] = image_pairs
    return ConditionComparison(test, anchor, metric, rate_differences(pairs))
