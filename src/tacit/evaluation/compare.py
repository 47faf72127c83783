"""What changed between two evaluations, and whether it is more than noise.

Images that are in both are paired: an image is easy or hard for both runs, so differences within pairs vary far less
than the images do. A change is noise where the 95 % interval of the mean difference (Student's t) holds zero.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean, stdev
from typing import Any, Literal

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import rate_difference
from tacit.evaluation.codecs import Quality
from tacit.evaluation.results import Results, load
from tacit.evaluation.runner import Row

LEAST_IMAGES = 5
CONFIDENCE = 0.95

Verdict = Literal["same", "noise", "better", "worse", "unclear"]


@dataclass(frozen=True)
class Change:
    """One figure of one codec, new against old.

    what: "bits for equal METRIC" in per cent, "bpp", a metric, or "encode time" and "decode time" in per cent.
    quality: None for what is over the whole curve. images: how many pairs. old, new: means, None over curves. mean: of
    the differences, new - old; low, high: its 95 % interval, None for fewer than 5 pairs and for metrics of whole sets.
    higher_is_better: None where neither is good in itself.
    """

    dataset: str
    codec: str
    what: str
    quality: Quality | None
    images: int
    old: float | None
    new: float | None
    mean: float
    low: float | None
    high: float | None
    higher_is_better: bool

    @property
    def verdict(self) -> Verdict:
        """same: no image differs. unclear: too few images to say."""
        if self.low == self.high == 0:
            return "same"
        if self.low is None or self.high is None:
            return "unclear"
        if self.low <= 0 <= self.high:
            return "noise"
        return "better" if (self.mean > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True)
class Comparison:
    """notes: what else is different between the two: versions, weights, images, what cannot be compared."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def compare(old: Results, new: Results) -> Comparison:
    """Pair by pair.

    Raises: InvalidInput, where the two have no image and codec in common.
    """
    notes = _notes(old, new)
    metrics = {m.name: m for m in new.metrics}
    for before in old.metrics:
        after = metrics.get(before.name)
        if after is not None and after.protocol != before.protocol:
            notes.append(f"{before.name} is not compared: {before.protocol}; now {after.protocol}")
            del metrics[before.name]
    shared = {name: m.higher_is_better for name, m in metrics.items() if name in {b.name for b in old.metrics}}
    changes: list[Change] = []
    for dataset in (d.name for d in new.datasets):
        pairs = _pairs(old, new, dataset)
        for codec in new.codecs:
            own = [(a, b) for a, b in pairs if a.codec == codec]
            if own:
                changes += _curves(dataset, codec, own, [name for name in shared if not metrics[name].is_rate])
                changes += _times(dataset, codec, own)
                changes += _points(dataset, codec, own, shared)
                changes += _sets(old, new, dataset, codec, shared)
    if not changes:
        raise InvalidInput("the two evaluations have no image, codec and quality in common")
    return Comparison(tuple(changes), tuple(notes))


def _pairs(old: Results, new: Results, dataset: str) -> list[tuple[Row, Row]]:
    """Rows of one image, by its file's hash, codec and quality."""
    before, after = (
        {
            (hashes[row.image], row.codec, row.quality): row
            for row in results.measured.rows
            if row.dataset == dataset and row.image in hashes
        }
        for results, hashes in ((r, _hashes(r, dataset)) for r in (old, new))
    )
    return [(before[key], after[key]) for key in after if key in before]


def _hashes(results: Results, dataset: str) -> dict[str, str]:
    return {i.name: i.sha256 for d in results.datasets if d.name == dataset for i in d.images}


def _curves(dataset: str, codec: str, pairs: Sequence[tuple[Row, Row]], metrics: Sequence[str]) -> list[Change]:
    """The rate difference of every image, by metric."""
    images: dict[str, list[tuple[Row, Row]]] = {}
    for pair in pairs:
        images.setdefault(pair[1].image, []).append(pair)
    changes = []
    for metric in metrics:
        differences = []
        for own in images.values():
            anchor, test = ([(row.bpp, row.metrics.get(metric)) for row in side] for side in zip(*own, strict=True))
            if anchor == test:
                differences.append(0.0)
                continue
            try:
                differences.append(rate_difference(_curve(anchor), _curve(test)).value)
            except InvalidInput:
                continue  # too few points, or a curve that turns back
        if differences and len(own) > 2:
            changes.append(_change(dataset, codec, f"bits for equal {metric} (%)", None, None, differences, False))
    return changes


def _curve(points: Sequence[tuple[float, float | None]]) -> tuple[list[float], list[float]]:
    having = [(rate, value) for rate, value in points if value is not None]
    return [rate for rate, _ in having], [value for _, value in having]


def _points(dataset: str, codec: str, pairs: Sequence[tuple[Row, Row]], metrics: Mapping[str, bool]) -> list[Change]:
    """At each quality: rate and metrics."""
    changes = []
    for quality in dict.fromkeys(b.quality for _, b in pairs):
        own = [(a, b) for a, b in pairs if b.quality == quality]
        rates = [(a.bpp, b.bpp) for a, b in own]
        changes.append(_paired(dataset, codec, "bpp", quality, rates, False))
        for metric, higher in metrics.items():
            both = [(a.metrics.get(metric), b.metrics.get(metric)) for a, b in own]
            values = [(x, y) for x, y in both if x is not None and y is not None]
            if values:
                changes.append(_paired(dataset, codec, metric, quality, values, higher))
    return changes


def _times(dataset: str, codec: str, pairs: Sequence[tuple[Row, Row]]) -> list[Change]:
    """By how many per cent encoding and decoding take longer: ratios, in the mean over an image's qualities."""
    changes = []
    for what in ("encode", "decode"):
        logs: dict[str, list[float]] = {}
        for a, b in pairs:
            before, after = getattr(a, what).seconds, getattr(b, what).seconds
            if before > 0 and after > 0:
                logs.setdefault(b.image, []).append(math.log(after / before))
        if logs:
            change = _change(
                dataset, codec, f"{what} time (%)", None, None, [fmean(own) for own in logs.values()], False
            )
            low, high = (None if v is None else _percent(v) for v in (change.low, change.high))
            changes.append(dataclasses.replace(change, mean=_percent(change.mean), low=low, high=high))
    return changes


def _percent(log_ratio: float) -> float:
    return 100 * math.expm1(log_ratio)


def _sets(old: Results, new: Results, dataset: str, codec: str, metrics: Mapping[str, bool]) -> list[Change]:
    """One number each: no interval can be given."""
    before = {(s.metric, s.quality): s.value for s in old.measured.sets if (s.dataset, s.codec) == (dataset, codec)}
    after = {(s.metric, s.quality): s.value for s in new.measured.sets if (s.dataset, s.codec) == (dataset, codec)}
    changes = []
    for (metric, quality), value in after.items():
        if metric in metrics and (metric, quality) in before:
            was = before[metric, quality]
            interval = 0.0 if value == was else None
            changes.append(
                Change(dataset, codec, metric, quality, 0, was, value, value - was, interval, interval, metrics[metric])
            )
    return changes


def _paired(
    dataset: str, codec: str, what: str, quality: Quality, pairs: Sequence[tuple[float, float]], higher: bool
) -> Change:
    means = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
    return _change(dataset, codec, what, quality, means, [b - a for a, b in pairs], higher)


def _change(
    dataset: str,
    codec: str,
    what: str,
    quality: Quality | None,
    means: tuple[float, float] | None,
    differences: Sequence[float],
    higher: bool,
) -> Change:
    low: float | None = None
    high: float | None = None
    if not any(differences):
        low = high = 0.0
    elif len(differences) >= LEAST_IMAGES:
        low, high = confidence_interval(differences)
    old, new = means or (None, None)
    return Change(dataset, codec, what, quality, len(differences), old, new, fmean(differences), low, high, higher)


def confidence_interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean, by Student's t.

    Raises: InvalidInput for fewer than 5 values.
    """
    if len(differences) < LEAST_IMAGES:
        raise InvalidInput(f"{len(differences)} differences: an interval needs {LEAST_IMAGES} or more")
    mean = fmean(differences)
    half = _student(len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    return mean - half, mean + half


def _student(freedom: int) -> float:
    """The quantile of Student's t, within 0.3 % from 4 degrees of freedom on.

    Source: Abramowitz and Stegun, 26.7.5 (Cornish and Fisher's expansion from the normal quantile).
    """
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))


# -- what else is different -------------------------------------------------------------------------------------------


def _notes(old: Results, new: Results) -> list[str]:
    notes = []
    for what, before, after in (
        ("machine", old.machine, new.machine),
        ("libraries", old.libraries, new.libraries),
        *((f"{name}", old.codecs[name], new.codecs[name]) for name in new.codecs if name in old.codecs),
    ):
        notes += [f"{what}: {line}" for line in _differing(before, after)]
    for kind, before_names, after_names in (
        ("codec", list(old.codecs), list(new.codecs)),
        ("metric", [m.name for m in old.metrics], [m.name for m in new.metrics]),
        ("set", [d.name for d in old.datasets], [d.name for d in new.datasets]),
    ):
        notes += [f"{kind} {name}: in the old results only" for name in before_names if name not in after_names]
        notes += [f"{kind} {name}: in the new results only" for name in after_names if name not in before_names]
    for dataset in new.datasets:
        before_images, after_images = set(_hashes(old, dataset.name).values()), set(_hashes(new, dataset.name).values())
        if before_images and before_images != after_images:
            both = len(before_images & after_images)
            notes.append(f"{dataset.name}: {both} images are in both, of {len(before_images)} and {len(after_images)}")
        captions = {i.sha256: i.caption for d in old.datasets if d.name == dataset.name for i in d.images}
        changed = [i.name for i in dataset.images if i.sha256 in captions and captions[i.sha256] != i.caption]
        notes += [f"{dataset.name}: {len(changed)} captions are different"] if changed else []
    return notes


def _differing(before: Any, after: Any, name: str = "") -> list[str]:
    """Leaves of nested settings that are not the same."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [*before, *(key for key in after if key not in before)]
        return [line for key in keys for line in _differing(before.get(key), after.get(key), f"{name} {key}".strip())]
    return [] if before == after else [f"{name} was {before}, is {after}"]


# -- as text ----------------------------------------------------------------------------------------------------------


def compare_files(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> str:
    """Two files that `tacit eval` wrote, compared, as text.

    Raises: PathError; InvalidInput, where one is no such file or they have nothing in common.
    """
    return text(compare(load(Path(old)), load(Path(new))))


def text(comparison: Comparison) -> str:
    """Markdown: first whole curves and times, then each quality at which something changed."""
    lines = []
    whole = [c for c in comparison.changes if c.quality is None]
    points = [c for c in comparison.changes if c.quality is not None]
    changed = [c for c in points if c.verdict != "same"]
    for heading, changes in (("Curves and times", whole), ("By quality, where something changed", changed)):
        if changes:
            lines += [f"## {heading}", "", "| set | codec | figure | quality | images | old | new | change | 95 % | |"]
            lines += ["|---|---|---|---|---:|---:|---:|---:|---|---|", *map(_line, changes), ""]
    same = len(points) - len(changed)
    lines += [f"{same} of {len(points)} figures by quality are the same on every image.", ""] if same else []
    if comparison.notes:
        lines += ["## Also different", "", *(f"- {note}" for note in comparison.notes), ""]
    return "\n".join(lines)


def _line(change: Change) -> str:
    def shown(value: float | None, sign: str = "") -> str:
        return "" if value is None else f"{value:{sign}.4g}"

    interval = "" if change.low is None else f"{shown(change.low, '+')} to {shown(change.high, '+')}"
    quality = (
        ""
        if change.quality is None
        else f"{change.quality:g}"
        if not isinstance(change.quality, str)
        else (change.quality)
    )
    cells = [change.dataset, change.codec, change.what, quality, str(change.images or ""), shown(change.old)]
    cells += [shown(change.new), shown(change.mean, "+"), interval, change.verdict]
    return "| " + " | ".join(cells) + " |"
