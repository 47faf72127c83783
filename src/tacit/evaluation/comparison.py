"""What changed between two evaluations, and whether it is more than noise.

Images that are in both are paired: an image is easy or hard for both runs, so differences within pairs vary far less
than the images do. A change is noise where the 95 % interval of the mean difference (Student's t) holds zero.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import rate_difference
from tacit.evaluation.codecs.protocol import Quality
from tacit.evaluation.confidence import MIN_DIFFERENCES, confidence_interval
from tacit.evaluation.measurements import Measurement
from tacit.evaluation.results import Results

Verdict = Literal["same", "noise", "better", "worse", "unclear"]
"""What a change means: no image differs; the interval holds zero; it does not; or there are too few images to tell."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One figure of one codec, new against old."""

    dataset: str
    """The data set's name."""
    codec: str
    """The codec's name."""
    figure: str
    """What changed: "bits for equal METRIC (%)", "bpp", a metric, or "encode time (%)" and "decode time (%)"."""
    quality: Quality | None
    """The codec's quality; None for a figure over the whole curve."""
    images: int
    """How many pairs of images the change is over; 0 for a metric of a whole data set."""
    old: float | None
    """The old mean; None for a figure over the whole curve."""
    new: float | None
    """The new mean; None for a figure over the whole curve."""
    mean: float
    """The mean of the differences, new - old."""
    low: float | None
    """The beginning of the mean's 95 % interval; None for fewer than five pairs and for metrics of whole data sets."""
    high: float | None
    """The end of that interval."""
    higher_is_better: bool
    """Whether a rise is an improvement."""

    @property
    def verdict(self) -> Verdict:
        """What the change means."""
        if self.low == self.high == 0:
            return "same"
        if self.low is None or self.high is None:
            return "unclear"
        if self.low <= 0 <= self.high:
            return "noise"
        return "better" if (self.mean > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True)
class ResultsComparison:
    """What changed between two evaluations."""

    changes: tuple[Change, ...]
    """The figures of all codecs that both evaluations have."""
    notes: tuple[str, ...]
    """What else differs: versions, weights, images, and what cannot be compared."""


def compare(old: Results, new: Results) -> ResultsComparison:
    """Compare two evaluations, pair by pair of images.

    Raises:
        InvalidInput: The two have no image, codec and quality in common.
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
    return ResultsComparison(tuple(changes), tuple(notes))


def _pairs(old: Results, new: Results, dataset: str) -> list[tuple[Measurement, Measurement]]:
    """Pair the rows of one image, codec and quality; an image is known by its file's hash."""
    before, after = (
        {
            (hashes[row.image], row.codec, row.quality): row
            for row in results.measurements.rows
            if row.dataset == dataset and row.image in hashes
        }
        for results, hashes in ((r, _hashes(r, dataset)) for r in (old, new))
    )
    return [(before[key], after[key]) for key in after if key in before]


def _hashes(results: Results, dataset: str) -> dict[str, str]:
    return {i.name: i.sha256 for d in results.datasets if d.name == dataset for i in d.images}


def _curves(
    dataset: str, codec: str, pairs: Sequence[tuple[Measurement, Measurement]], metrics: Sequence[str]
) -> list[Change]:
    """Return the change of rate at equal quality, for each metric: the mean over the images' own rate differences."""
    images: dict[str, list[tuple[Measurement, Measurement]]] = {}
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


def _points(
    dataset: str, codec: str, pairs: Sequence[tuple[Measurement, Measurement]], metrics: Mapping[str, bool]
) -> list[Change]:
    """Return the changes of rate and metrics at each quality."""
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


def _times(dataset: str, codec: str, pairs: Sequence[tuple[Measurement, Measurement]]) -> list[Change]:
    """Return by how many per cent encoding and decoding take longer, from mean ratios over each image's qualities."""
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
    """Return the changes of metrics of whole data sets, which are one number each, so that there is no interval."""
    before = {(s.metric, s.quality): s.value for s in old.measurements.sets if (s.dataset, s.codec) == (dataset, codec)}
    after = {(s.metric, s.quality): s.value for s in new.measurements.sets if (s.dataset, s.codec) == (dataset, codec)}
    changes = []
    for (metric, quality), value in after.items():
        if metric in metrics and (metric, quality) in before:
            was = before[metric, quality]
            interval = 0.0 if value == was else None
            changes.append(
                Change(
                    dataset=dataset,
                    codec=codec,
                    figure=metric,
                    quality=quality,
                    images=0,
                    old=was,
                    new=value,
                    mean=value - was,
                    low=interval,
                    high=interval,
                    higher_is_better=metrics[metric],
                )
            )
    return changes


def _paired(
    dataset: str, codec: str, figure: str, quality: Quality, pairs: Sequence[tuple[float, float]], higher: bool
) -> Change:
    means = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
    return _change(dataset, codec, figure, quality, means, [b - a for a, b in pairs], higher)


def _change(
    dataset: str,
    codec: str,
    figure: str,
    quality: Quality | None,
    means: tuple[float, float] | None,
    differences: Sequence[float],
    higher: bool,
) -> Change:
    low: float | None = None
    high: float | None = None
    if not any(differences):
        low = high = 0.0
    elif len(differences) >= MIN_DIFFERENCES:
        low, high = confidence_interval(differences)
    old, new = means or (None, None)
    return Change(
        dataset=dataset,
        codec=codec,
        figure=figure,
        quality=quality,
        images=len(differences),
        old=old,
        new=new,
        mean=fmean(differences),
        low=low,
        high=high,
        higher_is_better=higher,
    )


def _notes(old: Results, new: Results) -> list[str]:
    """Return what else differs between two evaluations."""
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
    """Return the leaves of nested settings that are not the same, each in words."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [*before, *(key for key in after if key not in before)]
        return [line for key in keys for line in _differing(before.get(key), after.get(key), f"{name} {key}".strip())]
    return [] if before == after else [f"{name} was {before}, is {after}"]
