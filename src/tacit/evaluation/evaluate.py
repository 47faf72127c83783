"""`tacit eval`: from names of sets, codecs and metrics to a folder of results."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tacit import files
from tacit.errors import InvalidInput, MissingExtra, MissingWeights, PathError
from tacit.evaluation import report, results
from tacit.evaluation.authors import AUTHORS, load_authors_metric
from tacit.evaluation.codecs import EvalCodec, Quality, find_codec, load_commands
from tacit.evaluation.datasets import Dataset, EmptySet, load_dataset
from tacit.evaluation.exhibit import exhibits
from tacit.evaluation.metrics import Metric, load_metric
from tacit.evaluation.provenance import describe_libraries, describe_machine
from tacit.evaluation.results import DatasetInfo, ImageInfo, MetricInfo, Results
from tacit.evaluation.runner import Progress, run, without_value

RESULTS = "results.json"


@dataclass(frozen=True)
class EvalOptions:
    """What to evaluate.

    datasets: as `load_dataset` takes them. codecs: as `find_codec` takes them. metrics: names. out: folder of the
    results. captions: a map for all sets. commands: a TOML file of further codecs. qualities: by codec, instead of its
    own. points: at most so many of a codec's own qualities, spread over them. limit: images of each set. anchor: the
    codec to compare with; None for the first. crops: images of each set that are shown at equal bytes. log: plots are
    over the logarithm of the rate. command: how this can be run again.
    """

    datasets: Sequence[str]
    codecs: Sequence[str]
    metrics: Sequence[str]
    out: Path
    captions: str | None = None
    commands: str | None = None
    qualities: Mapping[str, Sequence[Quality]] = field(default_factory=dict)
    points: int | None = None
    limit: int | None = None
    anchor: str | None = None
    jobs: int | None = None
    device: str = "cpu"
    precision: str = "auto"
    fresh: bool = False
    crops: int = 3
    log: bool = False
    command: str = ""


def evaluate(options: EvalOptions, progress: Progress) -> Results:
    """Measure, and write `results.json`, `report.md` and `report.html` into the folder.

    Sets without images are said and skipped, and so are codecs and metrics that lack a library or weights.

    Raises: InvalidInput, where nothing is left to measure; UnknownModel; PathError.
    """
    begun = time.monotonic()
    datasets, empty = _datasets(options)
    if twice := _twice([dataset.name for dataset in datasets]):
        raise InvalidInput(f"two sets are called {twice}")
    for dataset in datasets:
        for note in dataset.notes:
            progress.say(f"{dataset.name}: {note}")
    codecs, metrics, lacking = _found(options)
    skipped = empty | lacking
    for text in skipped.values():
        progress.say(f"skipped: {text}")
    if not codecs or not metrics:
        raise InvalidInput(
            f"no {'metric' if codecs else 'codec'} is left to measure {'with' if codecs else ''}".strip()
        )
    chosen = _qualities(codecs, options)
    anchor = options.anchor or codecs[0].name
    if anchor not in {codec.name for codec in codecs}:
        raise InvalidInput(f"anchor {anchor}: not one of {', '.join(codec.name for codec in codecs)}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"{options.out}: {files.reason(error)}") from error
    measured = run(datasets, codecs, metrics, chosen, options.out, progress, jobs=options.jobs, fresh=options.fresh)
    found = Results(
        options.command,
        datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        round(time.monotonic() - begun, 1),
        describe_machine(),
        describe_libraries(),
        tuple(_about(dataset) for dataset in datasets),
        {codec.name: codec.settings() for codec in codecs},
        tuple(MetricInfo(m.name, m.unit, m.higher_is_better, m.protocol) for m in metrics),
        skipped,
        anchor,
        measured,
    )
    for dataset in datasets:
        for text in without_value([row for row in measured.rows if row.dataset == dataset.name]):
            progress.say(f"{dataset.name} {text}")
    if not measured.rows:
        raise InvalidInput("nothing could be measured")
    results.save(found, options.out / RESULTS)
    shown = [e for d in datasets for e in exhibits(d, codecs, measured.rows, options.out, options.crops, progress)]
    report.write(found, shown, options.out, log=options.log)
    return found


def _datasets(options: EvalOptions) -> tuple[list[Dataset], dict[str, str]]:
    """Sets, and by name why others are skipped. Raises: EmptySet, where that leaves none."""
    datasets: list[Dataset] = []
    skipped: dict[str, str] = {}
    for source in options.datasets:
        try:
            datasets.append(load_dataset(source, captions=options.captions, limit=options.limit))
        except EmptySet as error:
            skipped[source] = str(error)
    if not datasets:
        raise EmptySet("; ".join(skipped.values()))
    return datasets, skipped


def _found(options: EvalOptions) -> tuple[list[EvalCodec], list[Metric], dict[str, str]]:
    """Codecs, metrics, and by name why others are skipped."""
    skipped: dict[str, str] = {}
    commands = load_commands(options.commands) if options.commands else {}
    codecs: list[EvalCodec] = []
    for spec in dict.fromkeys(options.codecs):
        try:
            codecs.append(find_codec(spec, commands, device=options.device, precision=options.precision))
        except (MissingExtra, MissingWeights) as error:
            skipped[spec] = str(error)
    if twice := _twice([codec.name for codec in codecs]):
        raise InvalidInput(f"two codecs are called {twice}; rename one's file")
    metrics: list[Metric] = []
    for name in dict.fromkeys(options.metrics):
        try:
            metrics.append(load_authors_metric(name) if name in AUTHORS else load_metric(name))
        except (MissingExtra, MissingWeights) as error:
            skipped[name] = str(error)
    return codecs, metrics, skipped


def _twice(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _qualities(codecs: Sequence[EvalCodec], options: EvalOptions) -> dict[str, list[Quality]]:
    if unknown := options.qualities.keys() - {codec.name for codec in codecs}:
        raise InvalidInput(f"qualities of {', '.join(sorted(unknown))}, which is not measured")
    found = {}
    for codec in codecs:
        own = list(codec.qualities)
        n = min(options.points or len(own), len(own))
        spread = [own[round(i * (len(own) - 1) / max(1, n - 1))] for i in range(n)]
        checked = (codec.check(q) for q in options.qualities.get(codec.name, spread))
        found[codec.name] = list(dict.fromkeys(checked))  # twice the same is once
    return found


def _about(dataset: Dataset) -> DatasetInfo:
    images = tuple(ImageInfo(item.name, item.sha256, item.caption) for item in dataset.items)
    return DatasetInfo(dataset.name, images, dataset.notes)
