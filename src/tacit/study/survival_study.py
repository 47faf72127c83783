"""The survival study: whether what is named can still be read, detected and recognised in small files.

Files of equal size are compared: without a caption, steered by the phrase, by a phrase for something else, and by the
box around what is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tacit import files
from tacit.codec import Codec
from tacit.errors import InvalidInput, MissingExtra, MissingWeights, TargetNotReached
from tacit.evaluation.codecs.tacit import find_tacit_codec
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.journal import Journal, JournalEntry
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.tasks import digest
from tacit.finding import load_finder
from tacit.study.box_maps import box_map
from tacit.study.caption_conditions import NO_CAPTION
from tacit.study.config import SurvivalConfig
from tacit.study.image_sets import available_sets
from tacit.study.judges import JUDGES, Judge
from tacit.study.named_regions import NamedRegion, other_phrases, read_named_regions, regions_in
from tacit.study.statistics import PairedDifferences
from tacit.study.steering_study import OTHER_PHRASE, PHRASE

if TYPE_CHECKING:
    from tacit.finding import Found

JOURNAL = "survival.jsonl"
"""The file in a study's folder that has a line for each image at each rate."""

COMPARED = ((PHRASE, NO_CAPTION), (PHRASE, OTHER_PHRASE), (OTHER_PHRASE, NO_CAPTION))
"""The pairs of conditions that are compared, besides the box with no caption."""


@dataclass(frozen=True, kw_only=True)
class Survival:
    """How well named things survive by one measure, over images; an image with several things counts once."""

    measure: str
    """What is measured, 0 to 1."""
    rate: float | None
    """The bits per pixel of the files; None for the mean over all rates at which an image has files."""
    things: int
    """How many things were judged."""
    means: Mapping[str, float]
    """The mean by condition."""
    differences: Mapping[tuple[str, str], PairedDifferences]
    """The differences by pairs of conditions (test, anchor)."""


@dataclass(frozen=True, kw_only=True)
class SurvivalResults:
    """What the survival study found on one set of images."""

    dataset: Dataset
    """The set."""
    regions: int
    """How many named things the set has."""
    images: int
    """How many of its images show them."""
    bytes_by_rate: Mapping[float, Mapping[str, float]]
    """The mean size of the files by rate and condition, in bytes."""
    unreached: Mapping[float, int]
    """How many things have no files of a rate, by rate: it is less than what the lowest quality takes."""
    survivals: tuple[Survival, ...]
    """The measures, for each rate and for all."""


@dataclass(frozen=True, kw_only=True)
class SurvivalStudy:
    """What the survival study found."""

    sets: tuple[SurvivalResults, ...]
    """The results by set of images."""
    settings: Mapping[str, Any]
    """The settings of the weights and the finder, as `tacit eval` reports them."""
    measures: Mapping[str, str]
    """How each measure is defined."""
    skipped: Mapping[str, str]
    """The judges that were left out, and why."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One image at one rate."""

    config: SurvivalConfig
    judges: tuple[str, ...]
    path: Path
    image: str
    regions: tuple[tuple[NamedRegion, str], ...]
    rate: float
    weights_hash: str

    @property
    def key(self) -> str:
        """The hash of all that the results depend on."""
        asked = [(region.phrase, region.box, other) for region, other in self.regions]
        protocols = [dict(JUDGES[name].measures) for name in self.judges]
        finder = dict(load_finder(self.config.finder).settings)
        form = [self.config.map.steps, self.config.map.cover, self.config.map.edge, self.config.map.fall]
        pixels = files.sha256(self.path)
        return digest([pixels, asked, self.rate, self.config.steer, form, finder, self.weights_hash, protocols])


class _Remembering:
    """A finder that looks once for what it has been asked for in the image at hand."""

    def __init__(self, name: str) -> None:
        self._finder = load_finder(name)
        self._found: dict[tuple[str, str], Found] = {}

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._finder.settings

    def __call__(self, pixels: NDArray[np.uint8], caption: str) -> Found:
        key = hashlib.sha256(pixels.tobytes()).hexdigest(), caption
        if key not in self._found:
            self._found[key] = self._finder(pixels, caption)
        return self._found[key]


def run_survival_study(config: SurvivalConfig, out: Path, progress: EvalProgress, *, jobs: int = 1) -> SurvivalStudy:
    """Run the survival study on each set of images that exists on this machine.

    Args:
        config: The study's configuration.
        out: The folder that keeps what is done.
        progress: Takes what is reported.
        jobs: The number of processes.

    Raises:
        InvalidInput: No set or no judge can be used, or the weights take no quality map.
        PathError: A file cannot be read or written.
        UnknownModel: There are no weights, or there is no finder, of the configured name.
    """
    model = find_tacit_codec(f"{config.weights}+captions+steer{config.steer:g}+finder={config.finder}", "cpu", "fp32")
    if "" not in model.models:
        raise InvalidInput(f"{config.weights}: these weights take no quality map")
    settings = model.settings()
    judges, skipped = _usable_judges(config.judges, progress)
    listed = [region for source in config.regions for region in read_named_regions(source)]
    if config.images != "all":
        listed = [region for region in listed if region.seen == (config.images == "seen")]
    found = [
        (dataset, regions)
        for _, dataset in available_sets(config.measure.sets, [], progress)
        if (regions := regions_in(dataset, listed))
    ]
    if not found:
        raise InvalidInput("none of the named regions is in an image of the study's sets")
    weights_hash = settings["weights"]["all"]["sha256"]
    tasks = {dataset.name: _tasks(config, judges, dataset, regions, weights_hash) for dataset, regions in found}
    with Journal(out / JOURNAL) as journal:
        keys = {task.key: task for tasks_of_set in tasks.values() for task in tasks_of_set}
        waiting = [task for key, task in keys.items() if key not in journal.entries]
        progress.begin(len(keys), len(keys) - len(waiting))
        for task, entry in _done(waiting, jobs):
            journal.append(entry)
            progress.done(f"{task.image} at {task.rate:g} bpp")
        measures = {name: text for judge in judges for name, text in JUDGES[judge].measures.items()}
        results = [
            _results(config, dataset, regions, [journal.entries[task.key] for task in tasks[dataset.name]], measures)
            for dataset, regions in found
        ]
    return SurvivalStudy(sets=tuple(results), settings=settings, measures=measures, skipped=skipped)


def _usable_judges(names: Sequence[str], progress: EvalProgress) -> tuple[tuple[str, ...], dict[str, str]]:
    usable, skipped = [], {}
    for name in names:
        try:
            JUDGES[name]()
        except (MissingExtra, MissingWeights) as error:
            skipped[name] = str(error)
            progress.say(f"skipped: {error}")
        else:
            usable.append(name)
    if not usable:
        raise InvalidInput("none of the judges can be used")
    return tuple(usable), skipped


def _tasks(
    config: SurvivalConfig, judges: tuple[str, ...], dataset: Dataset, regions: Sequence[NamedRegion], weights: str
) -> list[_Task]:
    others = dict(zip(regions, other_phrases(regions), strict=True))
    paths = {item.name.rpartition("/")[2]: item.path for item in dataset.images}
    return [
        _Task(
            config=config,
            judges=judges,
            path=paths[image],
            image=image,
            regions=tuple((region, others[region]) for region in regions if region.image == image),
            rate=rate,
            weights_hash=weights,
        )
        for rate in config.rates
        for image in dict.fromkeys(region.image for region in regions)
    ]


def _done(tasks: Sequence[_Task], jobs: int) -> Iterator[tuple[_Task, JournalEntry]]:
    """Do tasks, and yield their results as they come."""
    if jobs == 1:
        yield from ((task, _measured(task)) for task in tasks)
        return
    with ProcessPoolExecutor(min(jobs, max(1, len(tasks))), get_context("spawn")) as pool:
        running = {pool.submit(_measured, task): task for task in tasks}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_loaded: dict[str, Any] = {}
"""The codec and the judges of this process, by what they were made of."""


def _tools(task: _Task) -> tuple[Codec, list[Judge]]:
    key = digest([task.config.weights, task.config.finder, task.config.steer, task.judges])
    if key not in _loaded:
        finder = _Remembering(task.config.finder)
        codec = Codec(task.config.weights, steer=task.config.steer, finder=finder, threads=1, precision="fp32")
        _loaded.clear()
        _loaded[key] = codec, [JUDGES[name]() for name in task.judges]
    tools: tuple[Codec, list[Judge]] = _loaded[key]
    return tools


def _measured(task: _Task) -> JournalEntry:
    """Encode an image under all conditions at one rate, decode the files, and judge them."""
    codec, judges = _tools(task)
    original = load_pixels(task.path)
    height, width = original.shape[:2]
    references = [[(judge, judge.reference(original, region)) for judge in judges] for region, _ in task.regions]

    def coded(**options: Any) -> tuple[int, NDArray[np.uint8]] | None:
        try:
            data = codec.encode(original, bpp=task.rate, **options)
        except TargetNotReached:
            return None
        return len(data), np.asarray(codec.decode(data).convert("RGB"))

    plain = coded()
    rows = []
    for (region, other), known in zip(task.regions, references, strict=True):
        files = {
            NO_CAPTION: plain,
            OTHER_PHRASE: coded(caption=other),
            PHRASE: coded(caption=region.phrase),
            task.config.map.name: coded(quality_map=box_map(region.box, width, height, task.config.map)),
        }
        judged: dict[str, Any] = {}
        for condition, file in files.items():
            values: dict[str, float] = {}
            for judge, reference in known if file is not None else ():
                if reference is not None:
                    values |= judge(file[1], region, reference)  # type: ignore[index]
            judged[condition] = None if file is None else {"bytes": file[0], **values}
        rows.append({"named": region.phrase, "box": region.box, "other": other, "files": judged})
    return {"key": task.key, "image": task.image, "rate": task.rate, "regions": rows}


# -- results ----------------------------------------------------------------------------------------------------------


def _results(
    config: SurvivalConfig,
    dataset: Dataset,
    regions: Sequence[NamedRegion],
    entries: Sequence[JournalEntry],
    measures: Mapping[str, str],
) -> SurvivalResults:
    conditions = (NO_CAPTION, OTHER_PHRASE, PHRASE, config.map.name)
    pairs = ((config.map.name, NO_CAPTION), *COMPARED)
    unreached = dict.fromkeys(config.rates, 0)
    rows: list[tuple[float, str, dict[str, Any]]] = []
    for entry in entries:
        for row in entry["regions"]:
            if all(row["files"][condition] is not None for condition in conditions):
                rows.append((entry["rate"], entry["image"], row))
            else:
                unreached[entry["rate"]] += 1
    sizes = {
        rate: {
            condition: fmean(row["files"][condition]["bytes"] for at, _, row in rows if at == rate)
            for condition in conditions
        }
        for rate in config.rates
        if any(at == rate for at, _, _ in rows)
    }
    survivals = []
    for measure in measures:
        for chosen in (*config.rates, None):
            judged = [
                (image, row)
                for rate, image, row in rows
                if chosen in (None, rate) and measure in row["files"][NO_CAPTION]
            ]
            if judged:
                survivals.append(_survival(measure, chosen, judged, conditions, pairs))
    return SurvivalResults(
        dataset=dataset,
        regions=len(regions),
        images=len({region.image for region in regions}),
        bytes_by_rate=sizes,
        unreached=unreached,
        survivals=tuple(survivals),
    )


def _survival(
    measure: str,
    rate: float | None,
    judged: Sequence[tuple[str, Mapping[str, Any]]],
    conditions: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> Survival:
    images = list(dict.fromkeys(image for image, _ in judged))
    by_image = {
        condition: {
            image: fmean(row["files"][condition][measure] for name, row in judged if name == image) for image in images
        }
        for condition in conditions
    }
    return Survival(
        measure=measure,
        rate=rate,
        things=len({(image, row["named"], tuple(row["box"])) for image, row in judged}),
        means={condition: fmean(values.values()) for condition, values in by_image.items()},
        differences={
            (test, anchor): PairedDifferences.from_values(
                {image: by_image[test][image] - by_image[anchor][image] for image in images}, {}
            )
            for test, anchor in pairs
        },
    )
