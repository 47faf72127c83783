"""An evaluation: from the names of data sets, codecs and metrics to a folder of results and reports."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tacit import files
from tacit.errors import InvalidInput, MissingExtra, MissingWeights, PathError
from tacit.evaluation import results_file
from tacit.evaluation.codecs import EvalCodec, Quality, find_codec
from tacit.evaluation.codecs.codec_file import read_codec_file
from tacit.evaluation.datasets import Dataset, EmptyDataset, load_dataset
from tacit.evaluation.equal_bytes import equal_bytes_examples
from tacit.evaluation.measurements import missing_values
from tacit.evaluation.metrics import Metric, load_metric
from tacit.evaluation.metrics.taco_authors import UNCLAMPED_METRICS, load_unclamped_metric
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.provenance import describe_libraries, describe_machine
from tacit.evaluation.published_curves import published_curves
from tacit.evaluation.report import write_report
from tacit.evaluation.results import DatasetInfo, ImageInfo, MetricInfo, Results
from tacit.evaluation.runner import run

RESULTS = "results.json"


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What to evaluate, and how."""

    datasets: Sequence[str]
    """The data sets, as `load_dataset` takes them."""
    codecs: Sequence[str]
    """The codecs, as `find_codec` takes them."""
    metrics: Sequence[str]
    """The metrics' names."""
    out: Path
    """The folder of the results."""
    captions: str | None = None
    """A caption map for all data sets; None for their own."""
    codec_file: str | None = None
    """A TOML file of further codecs."""
    qualities: Mapping[str, Sequence[Quality]] = field(default_factory=dict)
    """Qualities by codec, in place of the codec's own."""
    points: int | None = None
    """How many of a codec's own qualities to use at most, spread over them; None for all."""
    limit: int | None = None
    """How many images of each data set to use at most; None for all."""
    anchor: str | None = None
    """The codec that others are compared with; None for the first one."""
    jobs: int | None = None
    """How many processes to use; None for as many as cores and memory allow."""
    device: str = "cpu"
    """Where tacit's models run."""
    precision: str = "auto"
    """The precision of tacit's models: "fp32", "bf16", or "auto"."""
    fresh: bool = False
    """Whether to measure again what an earlier run has measured."""
    crops: int = 3
    """How many images of each data set are shown at equal bytes."""
    log: bool = False
    """Whether plots are over the logarithm of the rate."""
    command: str = ""
    """The command that runs this evaluation again."""


def evaluate(options: EvalOptions, progress: EvalProgress) -> Results:
    """Measure, and write `results.json`, `report.md` and `report.html` into the folder of the results.

    Data sets without images are reported and skipped, and so are codecs and metrics that lack a library or weights.

    Raises:
        InvalidInput: Nothing is left to measure, or an option is wrong.
        UnknownModel: A codec's name is not known.
        PathError: A file cannot be read or written.
    """
    start = time.monotonic()
    datasets, empty = _load_datasets(options)
    if (repeated := _repeated([dataset.name for dataset in datasets])) is not None:
        raise InvalidInput(f"two data sets are called {repeated}")
    for dataset in datasets:
        for note in dataset.notes:
            progress.say(f"{dataset.name}: {note}")
    codecs, lacking_codecs = _load_codecs(options)
    metrics, lacking_metrics = _load_metrics(options)
    skipped = empty | lacking_codecs | lacking_metrics
    for text in skipped.values():
        progress.say(f"skipped: {text}")
    if not codecs:
        raise InvalidInput("no codec is left to measure")
    if not metrics:
        raise InvalidInput("no metric is left to measure with")
    qualities = _choose_qualities(codecs, options)
    anchor = options.anchor or codecs[0].name
    published = {curve.label for curve in published_curves() if curve.dataset in {d.name for d in datasets}}
    if anchor not in {codec.name for codec in codecs} | published:
        others = "".join(f", {label!r}" for label in sorted(published))
        raise InvalidInput(f"anchor must be one of {', '.join(codec.name for codec in codecs)}{others}, got {anchor}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"{options.out}: {files.reason(error)}") from error
    measurements = run(
        datasets, codecs, metrics, qualities, options.out, progress, jobs=options.jobs, fresh=options.fresh
    )
    results = Results(
        command=options.command,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        seconds=round(time.monotonic() - start, 1),
        machine=describe_machine(),
        libraries=describe_libraries(),
        datasets=tuple(_dataset_info(dataset) for dataset in datasets),
        codecs={codec.name: codec.settings() for codec in codecs},
        metrics=tuple(MetricInfo(m.name, m.unit, m.higher_is_better, m.protocol) for m in metrics),
        skipped=skipped,
        anchor=anchor,
        measurements=measurements,
    )
    for dataset in datasets:
        for text in missing_values([row for row in measurements.rows if row.dataset == dataset.name]):
            progress.say(f"{dataset.name} {text}")
    if not measurements.rows:
        raise InvalidInput("nothing could be measured")
    results_file.save(results, options.out / RESULTS)
    examples = [
        example
        for dataset in datasets
        for example in equal_bytes_examples(dataset, codecs, measurements.rows, options.out, options.crops, progress)
    ]
    write_report(results, examples, options.out, log=options.log)
    return results


def _load_datasets(options: EvalOptions) -> tuple[list[Dataset], dict[str, str]]:
    """Return the data sets, and by name why others are skipped.

    Raises:
        EmptyDataset: No data set has an image.
    """
    datasets: list[Dataset] = []
    skipped: dict[str, str] = {}
    for source in options.datasets:
        try:
            datasets.append(load_dataset(source, captions=options.captions, limit=options.limit))
        except EmptyDataset as error:
            skipped[source] = str(error)
    if not datasets:
        raise EmptyDataset("; ".join(skipped.values()))
    return datasets, skipped


def _load_codecs(options: EvalOptions) -> tuple[list[EvalCodec], dict[str, str]]:
    """Return the codecs, and by name why others are skipped."""
    skipped: dict[str, str] = {}
    programs = read_codec_file(options.codec_file) if options.codec_file else {}
    codecs: list[EvalCodec] = []
    for spec in dict.fromkeys(options.codecs):
        try:
            codecs.append(find_codec(spec, programs, device=options.device, precision=options.precision))
        except (MissingExtra, MissingWeights) as error:
            skipped[spec] = str(error)
    if (repeated := _repeated([codec.name for codec in codecs])) is not None:
        raise InvalidInput(f"two codecs are called {repeated}; rename the file of one")
    return codecs, skipped


def _load_metrics(options: EvalOptions) -> tuple[list[Metric], dict[str, str]]:
    """Return the metrics, and by name why others are skipped."""
    skipped: dict[str, str] = {}
    metrics: list[Metric] = []
    for name in dict.fromkeys(options.metrics):
        try:
            metrics.append(load_unclamped_metric(name) if name in UNCLAMPED_METRICS else load_metric(name))
        except (MissingExtra, MissingWeights) as error:
            skipped[name] = str(error)
    return metrics, skipped


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _choose_qualities(codecs: Sequence[EvalCodec], options: EvalOptions) -> dict[str, list[Quality]]:
    """Return each codec's qualities: those of the options, else its own or some of them."""
    if unknown := options.qualities.keys() - {codec.name for codec in codecs}:
        raise InvalidInput(f"qualities are given for {', '.join(sorted(unknown))}, which is not measured")
    chosen = {}
    for codec in codecs:
        own = list(codec.qualities)
        n = min(options.points or len(own), len(own))
        spread = [own[round(i * (len(own) - 1) / max(1, n - 1))] for i in range(n)]
        checked = (codec.check(q) for q in options.qualities.get(codec.name, spread))
        chosen[codec.name] = list(dict.fromkeys(checked))  # a quality that is named twice is measured once
    return chosen


def _dataset_info(dataset: Dataset) -> DatasetInfo:
    images = tuple(ImageInfo(image.name, image.sha256, image.caption) for image in dataset.images)
    return DatasetInfo(dataset.name, images, dataset.notes)
