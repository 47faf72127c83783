"""The steering study: whether words bring quality to what they name.

The words are the caption of one image in a mosaic, or a phrase that names a part of a single image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve
from tacit.evaluation.codecs import Quality
from tacit.evaluation.datasets import Dataset, DatasetImage
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.progress import EvalProgress
from tacit.study.caption_conditions import NO_CAPTION, ConditionResults, caption_options, measure_conditions
from tacit.study.config import SteeringConfig
from tacit.study.image_sets import available_sets, captions_of_kind
from tacit.study.mosaics import Mosaic, make_mosaics
from tacit.study.named_regions import (
    Box,
    NamedRegion,
    other_phrases,
    read_named_regions,
    region_psnrs,
    regions_in,
)
from tacit.study.statistics import PairedDifferences, quality_differences

PHRASE, OTHER_PHRASE = "phrase", "another phrase"


@dataclass(frozen=True)
class SteeringGains:
    """PSNR differences in dB at equal bytes of the whole file."""

    named: PairedDifferences
    """The difference of what the words name, from the file without a caption."""
    rest: PairedDifferences
    """The difference of what the words do not name, from the file without a caption."""
    contrast: PairedDifferences
    """The difference of what the words name, minus that of what they do not name."""
    against_other: PairedDifferences
    """The difference of what the words name, from the file whose words name another part."""


@dataclass(frozen=True, kw_only=True)
class SteeringResults:
    """What the steering study measured."""

    dataset: Dataset
    """The set of images."""
    conditions: tuple[ConditionResults, ...]
    """What was measured on the mosaics, and on the single images."""
    mosaics: SteeringGains | None
    """The gains by mosaic, each the mean over its parts; None if there are no mosaics."""
    by_layout: Mapping[str, SteeringGains]
    """The same for pairs and for quads alone; empty unless there are both."""
    regions: SteeringGains | None
    """The gains by image, each the mean over its named regions; None if there are no regions."""
    by_region: Mapping[NamedRegion, tuple[float | None, float | None, float | None]]
    """The gains `named`, `rest` and `against_other` of each region."""


def run_steering_study(config: SteeringConfig, out: Path, progress: EvalProgress, *, jobs: int = 1) -> SteeringResults:
    """Run the steering study on the first set of images that exists on this machine.

    Args:
        config: The study's configuration.
        out: The folder that keeps what is done.
        progress: Takes what is reported.
        jobs: The number of processes.

    Raises:
        InvalidInput: No set can be used, a region is not in its image, or the configuration leaves nothing to measure.
        PathError: A file cannot be read or written.
        UnknownModel: There are no weights of the configured name.
    """
    has_mosaics = config.pairs + config.quads > 0
    kinds = [config.captions] if has_mosaics else []
    set_config, dataset = available_sets(config.measure.sets, kinds, progress)[0]
    items = {item.name.rpartition("/")[2]: item for item in dataset.images}
    regions = _regions_of(dataset, config.regions)  # checked before anything is measured
    if not has_mosaics and not regions:
        raise InvalidInput("pairs=0, quads=0 and regions=none leave nothing to measure")
    conditions: list[ConditionResults] = []
    mosaic_gains: SteeringGains | None = None
    by_layout: dict[str, SteeringGains] = {}
    if has_mosaics:
        mosaics = make_mosaics(
            dataset,
            captions_of_kind(set_config, dataset, config.captions) or {},
            {2: config.pairs, 4: config.quads},
            (config.width, config.height),
            config.seed,
            out / "mosaics",
        )
        results, parts = _measure_mosaics(config, mosaics, out / "measured" / "mosaics", progress, jobs)
        conditions.append(results)
        mosaic_gains = _gains(parts)
        for count, layout in ((2, "pairs"), (4, "quads")):
            names = {m.item.name for m in mosaics if len(m.boxes) == count}
            if names and len(names) < len(mosaics):
                by_layout[layout] = _gains([part for part in parts if part.unit in names])
    region_gains: SteeringGains | None = None
    by_region: dict[NamedRegion, tuple[float | None, float | None, float | None]] = {}
    if regions:
        results, parts = _measure_regions(config, regions, items, out / "measured" / "regions", progress, jobs)
        conditions.append(results)
        region_gains = _gains(parts)
        for region, part in zip(regions, parts, strict=True):
            gains = _gains([part])
            by_region[region] = gains.named.mean, gains.rest.mean, gains.against_other.mean
    return SteeringResults(
        dataset=dataset,
        conditions=tuple(conditions),
        mosaics=mosaic_gains,
        by_layout=by_layout,
        regions=region_gains,
        by_region=by_region,
    )


@dataclass(frozen=True)
class _NamedPart:
    """Pairs of curves (anchor, test) of one part of an image that words name."""

    unit: str
    """What the intervals are over: the mosaic, or the image."""
    named: tuple[Curve, Curve] | None
    """The part, without words and with the words that name it."""
    rest: tuple[Curve, Curve] | None
    """The rest of the image, without words and with the words that name the part."""
    other: tuple[Curve, Curve] | None
    """The part, with words that name another part and with the words that name this one."""


def _gains(parts: Sequence[_NamedPart]) -> SteeringGains:
    def differences(which: str) -> PairedDifferences:
        units: dict[str, list[tuple[Curve, Curve]]] = {}
        for part in parts:
            pair = getattr(part, which)
            if pair is not None:
                units.setdefault(part.unit, []).append(pair)
        return quality_differences(units)

    named, rest = differences("named"), differences("rest")
    contrast = {unit: value - rest.values[unit] for unit, value in named.values.items() if unit in rest.values}
    left_out = {**named.left_out, **rest.left_out}
    return SteeringGains(named, rest, PairedDifferences.from_values(contrast, left_out), differences("other"))


def _named_part(unit: str, image: str, test: str, other: str, curves: tuple[_Curves, _Curves]) -> _NamedPart:
    """Collect the curves of one part.

    Args:
        unit: What the intervals are over.
        image: The image's name.
        test: The condition whose words name the part.
        other: The condition whose words name another part.
        curves: The curves of the part, and those of the rest, by condition and image.
    """

    def pair(curves: _Curves, anchor: str) -> tuple[Curve, Curve] | None:
        a, b = curves.get((anchor, image)), curves.get((test, image))
        return None if a is None or b is None else (a, b)

    named, rest = curves
    return _NamedPart(unit, pair(named, NO_CAPTION), pair(rest, NO_CAPTION), pair(named, other))


_Curves = Mapping[tuple[str, str], Curve]
_Values = dict[tuple[str, str, Quality], float]


def _psnr_curves(results: ConditionResults, boxes: Mapping[str, Sequence[Box]]) -> list[tuple[_Curves, _Curves]]:
    """Return for the first box of each image, for the second and so on, curves of PSNR inside it and outside."""
    most = max(len(image_boxes) for image_boxes in boxes.values())
    values: list[tuple[_Values, _Values]] = [({}, {}) for _ in range(most)]
    for row in results.rows:
        decoded, _ = results.codec.decode(results.folder / row.file, row.quality, 1)
        psnrs = region_psnrs(load_pixels(results.paths[row.image]), decoded, boxes[row.image])
        for (inside, outside), (psnr_inside, psnr_outside) in zip(values, psnrs, strict=False):
            key = row.dataset, row.image, row.quality
            inside[key], outside[key] = psnr_inside, psnr_outside
    return [(results.curves_of(inside), results.curves_of(outside)) for inside, outside in values]


def _measure_mosaics(
    config: SteeringConfig, mosaics: Sequence[Mosaic], out: Path, progress: EvalProgress, jobs: int
) -> tuple[ConditionResults, list[_NamedPart]]:
    most = max(len(m.boxes) for m in mosaics)
    without = [Dataset(NO_CAPTION, tuple(m.item for m in mosaics))]
    named = [
        Dataset(f"part {n + 1}", tuple(_with_caption(m.item, m.captions[n]) for m in mosaics if n < len(m.boxes)))
        for n in range(most)
    ]
    conditions = {"": without, caption_options(config.steer): named}
    results = measure_conditions(config.weights, conditions, config.measure, out, progress, jobs)
    curves = _psnr_curves(results, {m.item.name: m.boxes for m in mosaics})
    parts = [
        _named_part(m.item.name, m.item.name, f"part {n + 1}", f"part {(n + 1) % len(m.boxes) + 1}", curves[n])
        for m in mosaics
        for n in range(len(m.boxes))
    ]
    return results, parts


def _regions_of(dataset: Dataset, source: str) -> list[NamedRegion]:
    """Return the named regions of a file that are in images of a set, after checking that they fit."""
    if source == "none":
        return []
    regions = regions_in(dataset, read_named_regions(source))
    if not regions:
        raise InvalidInput(
            f"{dataset.name}: none of the named regions is in one of its images (regions=none leaves them out)"
        )
    return regions


def _measure_regions(
    config: SteeringConfig,
    regions: Sequence[NamedRegion],
    items: Mapping[str, DatasetImage],
    out: Path,
    progress: EvalProgress,
    jobs: int,
) -> tuple[ConditionResults, list[_NamedPart]]:
    names = [f"{region.image} {i + 1:02}" for i, region in enumerate(regions)]
    without = [dataclasses.replace(items[region.image], name=name) for region, name in zip(regions, names, strict=True)]
    named = [_with_caption(item, region.phrase) for item, region in zip(without, regions, strict=True)]
    other = [_with_caption(item, phrase) for item, phrase in zip(without, other_phrases(regions), strict=True)]
    phrases = [Dataset(PHRASE, tuple(named)), Dataset(OTHER_PHRASE, tuple(other))]
    conditions = {"": [Dataset(NO_CAPTION, tuple(without))], caption_options(config.steer): phrases}
    results = measure_conditions(config.weights, conditions, config.measure, out, progress, jobs)
    (curves,) = _psnr_curves(results, {name: [region.box] for name, region in zip(names, regions, strict=True)})
    parts = [
        _named_part(region.image, name, PHRASE, OTHER_PHRASE, curves)
        for region, name in zip(regions, names, strict=True)
    ]
    return results, parts


def _with_caption(item: DatasetImage, caption: str) -> DatasetImage:
    return dataclasses.replace(item, caption=caption)
