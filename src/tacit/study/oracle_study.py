"""The oracle study: what steering is worth where the named things are known, and what part of that words reach.

The oracle is the same steering with a quality map that is made of the box around what the phrase names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import InvalidInput, MissingExtra, MissingWeights
from tacit.evaluation.bjontegaard import Curve
from tacit.evaluation.codecs import EvalCodec, find_codec
from tacit.evaluation.codecs.tacit import find_tacit_codec
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.journal import Journal
from tacit.evaluation.measurements import Measurement
from tacit.evaluation.metrics import Metric, load_metric
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.tasks import digest
from tacit.study.box_steered_codec import BoxSteeredCodec, box_text
from tacit.study.caption_conditions import NO_CAPTION, ConditionResults, caption_options, measure_codecs
from tacit.study.config import OracleConfig
from tacit.study.image_sets import available_sets
from tacit.study.named_regions import NamedRegion, other_phrases, read_named_regions, region_psnrs, regions_in
from tacit.study.statistics import PairedDifferences, Ratio, quality_differences, rate_differences, ratio_of_means
from tacit.study.steering_study import OTHER_PHRASE, PHRASE

ROWS = "regions.jsonl"
"""The file in a study's folder that has a line for each region of each file that was measured."""

BOX_PSNR, REST_PSNR, IMAGE_PSNR = "box psnr", "rest psnr", "image psnr"


@dataclass(frozen=True, kw_only=True)
class RegionComparison:
    """Paired differences of two conditions in one metric; an image with several regions counts once."""

    test: str
    """The condition that is compared."""
    anchor: str
    """The condition that it is compared with."""
    metric: str
    """The metric: of the box, of the rest of the image, or of the whole."""
    gain: PairedDifferences
    """The difference of quality at equal bytes of the whole file, in the metric's unit."""
    rate_percent: PairedDifferences
    """The difference of bytes at equal quality, in per cent; negative is fewer."""


@dataclass(frozen=True, kw_only=True)
class OracleSetResults:
    """What the oracle study measured on one set of images."""

    dataset: Dataset
    """The set."""
    conditions: ConditionResults
    """The files. Those of a region have a name of their own for each region."""
    comparisons: tuple[RegionComparison, ...]
    """The comparisons of conditions."""
    by_region: Mapping[NamedRegion, Mapping[str, float | None]]
    """The gain of each region's box in dB of PSNR, against no caption, by condition."""
    shares: Mapping[str, Ratio]
    """By condition of words: its mean gain as a share of that of the first map."""


def run_oracle_study(
    config: OracleConfig, out: Path, progress: EvalProgress, *, jobs: int = 1
) -> list[OracleSetResults]:
    """Run the oracle study on each set of images that exists on this machine.

    Args:
        config: The study's configuration.
        out: The folder that keeps what is done.
        progress: Takes what is reported.
        jobs: The number of processes.

    Raises:
        InvalidInput: No set can be used, a region is not in its image, or the weights take no quality map.
        PathError: A file cannot be read or written.
        UnknownModel: There are no weights of the configured name.
    """
    listed = [region for source in config.regions for region in read_named_regions(source)]
    if config.images != "all":
        listed = [region for region in listed if region.seen == (config.images == "seen")]
    found = []
    for _, dataset in available_sets(config.measure.sets, [], progress):
        if regions := regions_in(dataset, listed):
            found.append((dataset, regions))
        else:
            progress.say(f"set left out: {dataset.name} has no image that a named region is in")
    if not found:
        raise InvalidInput("none of the named regions is in an image of the study's sets")
    return [_run_set(config, dataset, regions, out, progress, jobs) for dataset, regions in found]


def _run_set(
    config: OracleConfig,
    dataset: Dataset,
    regions: Sequence[NamedRegion],
    out: Path,
    progress: EvalProgress,
    jobs: int,
) -> OracleSetResults:
    names = {region: f"{region.image} {number:03}" for number, region in enumerate(regions, 1)}
    results = measure_codecs(
        find_codec(config.weights, precision=config.measure.precision),
        _conditions(config, dataset, names),
        config.measure,
        out / "measured",
        progress,
        jobs,
    )
    curves = _region_curves(results, names, config.box_metrics, out, progress)
    words = _word_conditions(config)
    conditions = [form.name for form in config.maps] + [name for names in words.values() for name in names]
    pairs = [(test, NO_CAPTION) for test in conditions]
    for right, wrong in words.values():
        pairs += [(right, wrong), (right, config.maps[0].name)]
    metrics = dict.fromkeys(metric for _, _, metric in curves)
    comparisons = [_compared(test, anchor, metric, regions, curves) for metric in metrics for test, anchor in pairs]
    gains = {c.test: c.gain for c in comparisons if c.metric == BOX_PSNR and c.anchor == NO_CAPTION}
    return OracleSetResults(
        dataset=dataset,
        conditions=results,
        comparisons=tuple(comparisons),
        by_region={
            region: {test: _compared(test, NO_CAPTION, BOX_PSNR, [region], curves).gain.mean for test in conditions}
            for region in regions
        },
        shares={
            test: ratio_of_means(gains[test].values, gains[config.maps[0].name].values)
            for names in words.values()
            for test in names
        },
    )


def _word_conditions(config: OracleConfig) -> dict[str, tuple[str, str]]:
    """Return by finder the names of the conditions with the right words and with the wrong ones.

    Those of the first finder are plain; the others' name the finder.
    """
    if not config.words:
        return {}
    endings = {finder: f" by {finder}" if number else "" for number, finder in enumerate(config.finders)}
    return {finder: (f"{PHRASE}{ending}", f"{OTHER_PHRASE}{ending}") for finder, ending in endings.items()}


def _conditions(
    config: OracleConfig, dataset: Dataset, names: Mapping[NamedRegion, str]
) -> list[tuple[EvalCodec, list[Dataset]]]:
    """Return the codecs of all conditions, each with the sets that it encodes."""
    items = {item.name.rpartition("/")[2]: item for item in dataset.images}
    images = dict.fromkeys(region.image for region in names)
    without = Dataset(NO_CAPTION, tuple(dataclasses.replace(items[i], name=i, caption=None) for i in images))

    def captioned(condition: str, captions: Sequence[str]) -> Dataset:
        pairs = zip(names.items(), captions, strict=True)
        return Dataset(
            condition,
            tuple(dataclasses.replace(items[r.image], name=name, caption=text) for (r, name), text in pairs),
        )

    precision = config.measure.precision
    model = find_tacit_codec(config.weights, "cpu", precision)
    if "" not in model.models:
        raise InvalidInput(f"{config.weights}: these weights take no quality map")
    conditions: list[tuple[EvalCodec, list[Dataset]]] = [(model, [without])]
    boxes = [box_text(region.box) for region in names]
    conditions += [(BoxSteeredCodec.of(model, form), [captioned(form.name, boxes)]) for form in config.maps]
    for finder, (right, wrong) in _word_conditions(config).items():
        options = f"{caption_options(config.steer)}+finder={finder}"
        phrases = captioned(right, [region.phrase for region in names])
        others = captioned(wrong, other_phrases(list(names)))
        conditions.append((find_codec(f"{config.weights}{options}", precision=precision), [phrases, others]))
    return conditions


# -- values of regions ------------------------------------------------------------------------------------------------

_Curves = Mapping[tuple[str, NamedRegion, str], Curve]
"""Curves by condition, region and metric."""


def _region_curves(
    results: ConditionResults,
    names: Mapping[NamedRegion, str],
    box_metrics: Sequence[str],
    out: Path,
    progress: EvalProgress,
) -> _Curves:
    """Measure each region in each file, where an earlier run has not, and return the curves."""
    metrics = _load_box_metrics(box_metrics, progress)
    protocols = {metric.name: metric.protocol for metric in metrics}
    points: dict[tuple[str, NamedRegion, str], list[tuple[float, float]]] = {}
    complete = len({row.quality for row in results.rows})
    with Journal(out / ROWS) as journal:
        for row in results.rows:
            own = [region for region, name in names.items() if row.image in (name, region.image)]
            keys = [digest([row.file, region.image, region.box, protocols]) for region in own]
            if missing := [(r, key) for r, key in zip(own, keys, strict=True) if key not in journal.entries]:
                decoded, _ = results.codec.decode(results.folder / row.file, row.quality, 1)
                original = load_pixels(results.paths[row.image])
                for region, key in missing:
                    values = _region_values(original, decoded, region, metrics)
                    journal.append({"key": key, **_described(row, region), **values})
            for region, key in zip(own, keys, strict=True):
                for metric in (BOX_PSNR, REST_PSNR, IMAGE_PSNR, *(f"box {name}" for name in protocols)):
                    value = journal.entries[key][metric]
                    if value is not None:
                        points.setdefault((row.dataset, region, metric), []).append((row.bpp, value))
    return {
        key: ([rate for rate, _ in sorted(curve)], [value for _, value in sorted(curve)])
        for key, curve in points.items()
        if len(curve) == complete
    }


def _described(row: Measurement, region: NamedRegion) -> dict[str, Any]:
    return {
        "condition": row.dataset,
        "image": region.image,
        "phrase": region.phrase,
        "seen": region.seen,
        "quality": row.quality,
        "bytes": row.bytes,
        "bpp": row.bpp,
    }


def _region_values(
    original: np.ndarray, decoded: np.ndarray, region: NamedRegion, metrics: Sequence[Metric]
) -> dict[str, float | None]:
    """Return the values of all metrics; None where a box is too small for one."""
    ((inside, outside),) = region_psnrs(original, decoded, [region.box])
    left, top, right, bottom = region.box
    crops = [np.ascontiguousarray(pixels[top:bottom, left:right]) for pixels in (original, decoded)]
    height, width = original.shape[:2]
    part = (right - left) * (bottom - top) / (width * height)
    error = part * 10 ** (-inside / 10) + (1 - part) * 10 ** (-outside / 10)
    values: dict[str, float | None] = {BOX_PSNR: inside, REST_PSNR: outside, IMAGE_PSNR: -10 * float(np.log10(error))}
    for metric in metrics:
        measure: Any = metric
        fits = min(right - left, bottom - top) >= metric.smallest
        values[f"box {metric.name}"] = float(measure(*crops)) if fits else None
    return values


def _load_box_metrics(names: Sequence[str], progress: EvalProgress) -> list[Metric]:
    metrics = []
    for name in dict.fromkeys(names):
        try:
            metric = load_metric(name)
        except (MissingExtra, MissingWeights) as error:
            progress.say(f"skipped for boxes: {error}")
        else:
            if metric.level != "image" or metric.needs_caption:
                raise InvalidInput(f"a metric of boxes must compare two images without a caption, got {name}")
            metrics.append(metric)
    return metrics


def _compared(test: str, anchor: str, metric: str, regions: Sequence[NamedRegion], curves: _Curves) -> RegionComparison:
    pairs: dict[str, list[tuple[Curve, Curve]]] = {}
    for region in regions:
        first, second = curves.get((anchor, region, metric)), curves.get((test, region, metric))
        if first is not None and second is not None:
            pairs.setdefault(region.image, []).append((first, second))
    return RegionComparison(
        test=test,
        anchor=anchor,
        metric=metric,
        gain=quality_differences(pairs),
        rate_percent=rate_differences(pairs),
    )
