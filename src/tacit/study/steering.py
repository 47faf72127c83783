"""Whether words bring quality to what they name: in mosaics, by the caption of one part, and in single photos, by
phrases with boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve
from tacit.evaluation.codecs import Quality
from tacit.evaluation.datasets import Dataset, Item
from tacit.evaluation.runner import Progress, load_pixels
from tacit.study import sets
from tacit.study.conditions import NOTHING, Told, measure, telling
from tacit.study.config import SteeringConfig
from tacit.study.mosaics import Mosaic, mosaics
from tacit.study.paired import Paired, qualities
from tacit.study.regions import Box, Region, check_box, others, part_psnrs, read_regions

PHRASE, OTHER = "phrase", "another phrase"


@dataclass(frozen=True)
class Gains:
    """PSNR differences in dB at equal bytes. named: of what the words name, against no caption; rest: of what they do
    not name; contrast: named - rest; against_other: of what is named, against words that name another part."""

    named: Paired
    rest: Paired
    contrast: Paired
    against_other: Paired


@dataclass(frozen=True)
class Steering:
    """mosaics, regions: gains by mosaic (an average over its parts, each named once) and by image (over its regions);
    None where they were not asked for. by_layout: of pairs and quads alone. by_region: named, rest and against_other of
    each region. told: of mosaics and of regions."""

    dataset: Dataset
    told: tuple[Told, ...]
    mosaics: Gains | None
    by_layout: Mapping[str, Gains]
    regions: Gains | None
    by_region: Mapping[Region, tuple[float | None, float | None, float | None]]


def steering(config: SteeringConfig, out: Path, progress: Progress, *, jobs: int = 1) -> Steering:
    """The first set that is here. `out` keeps what is done.

    Raises: InvalidInput, PathError, UnknownModel.
    """
    in_mosaics = config.pairs + config.quads > 0
    one, dataset = sets.find(config.measure.sets, [config.captions] if in_mosaics else [], progress)[0]
    items = {item.name.rpartition("/")[2]: item for item in dataset.items}
    regions = _regions_in(items, config.regions, dataset.name)  # before anything is measured
    told: list[Told] = []
    of_mosaics: Gains | None = None
    by_layout: dict[str, Gains] = {}
    if in_mosaics:
        texts = sets.captions(one, dataset, config.captions) or {}
        made = mosaics(
            dataset,
            texts,
            {2: config.pairs, 4: config.quads},
            (config.width, config.height),
            config.seed,
            out / "mosaics",
        )
        found = _mosaics(config, made, out / "measured" / "mosaics", progress, jobs)
        told.append(found[0])
        of_mosaics = _gains(found[1])
        for count, layout in ((2, "pairs"), (4, "quads")):
            names = {m.item.name for m in made if len(m.boxes) == count}
            if names and len(names) < len(made):
                by_layout[layout] = _gains([s for s in found[1] if s.unit in names])
    of_regions: Gains | None = None
    by_region: dict[Region, tuple[float | None, float | None, float | None]] = {}
    if regions:
        results, sides = _regions(config, regions, items, out / "measured" / "regions", progress, jobs)
        told.append(results)
        of_regions = _gains(sides)
        for region, side in zip(regions, sides, strict=True):
            gains = _gains([side])
            by_region[region] = gains.named.mean, gains.rest.mean, gains.against_other.mean
    if not told:
        raise InvalidInput("pairs=0, quads=0 and regions=none: nothing is left to measure")
    return Steering(dataset, tuple(told), of_mosaics, by_layout, of_regions, by_region)


@dataclass(frozen=True)
class _Side:
    """One naming of one part. unit: what intervals are over. Curves of the named part and of the rest: without words,
    with those that name it; other: of the part, with words that name another."""

    unit: str
    named: tuple[Curve, Curve] | None
    rest: tuple[Curve, Curve] | None
    other: tuple[Curve, Curve] | None


def _gains(sides: Sequence[_Side]) -> Gains:
    def paired(which: str) -> Paired:
        units: dict[str, list[tuple[Curve, Curve]]] = {}
        for side in sides:
            pair = getattr(side, which)
            if pair is not None:
                units.setdefault(side.unit, []).append(pair)
        return qualities(units)

    named, rest = paired("named"), paired("rest")
    both = {unit: value - rest.values[unit] for unit, value in named.values.items() if unit in rest.values}
    return Gains(named, rest, Paired.of(both, {**named.left_out, **rest.left_out}), paired("other"))


def _side(unit: str, image: str, told: str, other: str, parts: tuple[_Curves, _Curves]) -> _Side:
    """Of an image under the conditions `told` and `other`. parts: curves of what `told` names, and of the rest."""

    def pair(curves: _Curves, anchor: str) -> tuple[Curve, Curve] | None:
        a, b = curves.get((anchor, image)), curves.get((told, image))
        return None if a is None or b is None else (a, b)

    named, rest = parts
    return _Side(unit, pair(named, NOTHING), pair(rest, NOTHING), pair(named, other))


_Curves = Mapping[tuple[str, str], Curve]
_Values = dict[tuple[str, str, Quality], float]


def _curves(told: Told, boxes: Mapping[str, Sequence[Box]]) -> list[tuple[_Curves, _Curves]]:
    """For the first box of each image, the second, ...: curves of PSNR inside of it and outside, from the files."""
    most = max(len(of) for of in boxes.values())
    found: list[tuple[_Values, _Values]] = [({}, {}) for _ in range(most)]
    for row in told.rows:
        decoded, _ = told.codec.decode(told.folder / row.file, row.quality, 1)
        parts = part_psnrs(load_pixels(told.paths[row.image]), decoded, boxes[row.image])
        for (inside, outside), values in zip(found, parts, strict=False):
            key = row.dataset, row.image, row.quality
            inside[key], outside[key] = values
    return [(told.curves_of(inside), told.curves_of(outside)) for inside, outside in found]


def _mosaics(
    config: SteeringConfig, made: Sequence[Mosaic], out: Path, progress: Progress, jobs: int
) -> tuple[Told, list[_Side]]:
    most = max(len(m.boxes) for m in made)
    nothing = [Dataset(NOTHING, tuple(m.item for m in made))]
    named = [
        Dataset(f"part {n + 1}", tuple(_telling(m.item, m.captions[n]) for m in made if n < len(m.boxes)))
        for n in range(most)
    ]
    conditions = {"": nothing, telling(config.steer): named}
    told = measure(config.weights, conditions, config.measure, out, progress, jobs)
    parts = _curves(told, {m.item.name: m.boxes for m in made})
    sides = [
        _side(m.item.name, m.item.name, f"part {n + 1}", f"part {(n + 1) % len(m.boxes) + 1}", parts[n])
        for m in made
        for n in range(len(m.boxes))
    ]
    return told, sides


def _regions_in(items: Mapping[str, Item], source: str, name: str) -> list[Region]:
    """Those of the file `source` that are in a set's images."""
    if source == "none":
        return []
    regions = [region for region in read_regions(source) if region.image in items]
    if not regions:
        raise InvalidInput(f"{name}: the regions are in none of its images; regions=none leaves them out")
    sizes = {image: load_pixels(items[image].path).shape for image in {region.image for region in regions}}
    for region in regions:
        height, width = sizes[region.image][:2]
        try:
            check_box(region.box, width, height)
        except InvalidInput as error:
            raise InvalidInput(f"{region.image}, {region.phrase!r}: {error}") from error
    return regions


def _regions(
    config: SteeringConfig,
    regions: Sequence[Region],
    items: Mapping[str, Item],
    out: Path,
    progress: Progress,
    jobs: int,
) -> tuple[Told, list[_Side]]:
    names = [f"{region.image} {i + 1:02}" for i, region in enumerate(regions)]
    bare = [dataclasses.replace(items[region.image], name=name) for region, name in zip(regions, names, strict=True)]
    right = [_telling(item, region.phrase) for item, region in zip(bare, regions, strict=True)]
    wrong = [_telling(item, phrase) for item, phrase in zip(bare, others(regions), strict=True)]
    phrases = [Dataset(PHRASE, tuple(right)), Dataset(OTHER, tuple(wrong))]
    conditions = {"": [Dataset(NOTHING, tuple(bare))], telling(config.steer): phrases}
    told = measure(config.weights, conditions, config.measure, out, progress, jobs)
    (parts,) = _curves(told, {name: [region.box] for name, region in zip(names, regions, strict=True)})
    return told, [_side(region.image, name, PHRASE, OTHER, parts) for name, region in zip(names, regions, strict=True)]


def _telling(item: Item, caption: str) -> Item:
    return dataclasses.replace(item, caption=caption)
