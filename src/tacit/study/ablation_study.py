"""Ablations: variants of one training run, each trained with several seeds, exported and measured on real files."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import yaml

from tacit import files, weights
from tacit.errors import InvalidInput, PathError, TacitError
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.evaluation import EvalOptions, evaluate
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.results import Results
from tacit.machine import cores
from tacit.study.config import AblationConfig, SetConfig, VariantConfig
from tacit.study.image_sets import available_sets, write_caption_map

SETTINGS = "study.yaml"
"""The file in the study's folder that keeps the settings of its runs."""


@dataclass(frozen=True)
class TrainedVariant:
    """One training run of a variant."""

    variant: str
    """The variant's name."""
    seed: int
    """The random seed."""
    weights: Path
    """The exported weights file."""
    seconds: float
    """How long the training took."""


@dataclass(frozen=True)
class AblationResults:
    """What an ablation trained and measured."""

    config: AblationConfig
    """The study's configuration."""
    start: Path | None
    """The copy of the weights that all runs began with; None if they began with random weights."""
    runs: tuple[TrainedVariant, ...]
    """The training runs."""
    measured: Mapping[str, tuple[Results, ...]]
    """What the evaluation harness measured, by set, once for each kind of caption. Its codecs are the runs."""


def run_name(variant: str, seed: int) -> str:
    """Return the name of a training run, which its folder and its weights have too."""
    return f"{variant}-seed{seed}"


def codec_name(variant: VariantConfig, seed: int) -> str:
    """Return the name of a training run's codec in the results."""
    return run_name(variant.name, seed) + variant.codec


def _weights_path(out: Path, name: str) -> Path:
    return out / "weights" / f"{name}.safetensors"


def run_ablation(
    config: AblationConfig, out: Path, progress: EvalProgress, *, jobs: int = 1, command: str = ""
) -> AblationResults:
    """Train, export and measure all variants.

    Args:
        config: The study's configuration.
        out: The folder that keeps what is done; what it has already is not done again.
        progress: Takes what is reported.
        jobs: The number of variants that train at a time, and of processes that measure.
        command: How the study can be run again, for the reports.

    Raises:
        InvalidInput: A configuration is wrong, no set can be used, or the folder has runs of other settings.
        PathError: A file cannot be read or written.
        MissingExtra: A library that is needed is not installed.
        TacitError: A run failed; the message names it.
    """
    kinds = dict.fromkeys(variant.captions for variant in config.variants if variant.codec)
    sets = available_sets(config.measure.sets, kinds, progress)  # before hours of training
    _check_same_settings(config, out)
    start = _keep_start(config, out, progress)
    runs = _train_all(config, out, progress, jobs)
    measured = {
        dataset.name: tuple(_measure(config, out, set_config, dataset, progress, jobs, command))
        for set_config, dataset in sets
    }
    return AblationResults(config, start, runs, measured)


# -- training ---------------------------------------------------------------------------------------------------------


def _check_same_settings(config: AblationConfig, out: Path) -> None:
    """Check that a folder has no runs of other settings, and keep those of this study there.

    Variants and seeds can be added to a folder. With anything else changed, its runs would be taken for these.
    """
    values: dict[str, object] = {
        "training": config.training,
        "start": config.start,
        "steps": config.steps,
        "shared": list(config.shared),
        "variants": {variant.name: list(variant.overrides) for variant in config.variants},
    }
    path = out / SETTINGS
    try:
        out.mkdir(parents=True, exist_ok=True)
        before = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
    except (OSError, yaml.YAMLError) as error:
        raise PathError(f"{path}: {error}") from error
    if before:
        known = before.pop("variants")
        changed = [key for key, value in before.items() if values[key] != value]
        changed += [v.name for v in config.variants if v.name in known and known[v.name] != list(v.overrides)]
        if changed:
            raise InvalidInput(f"{out}: has runs with other settings of {', '.join(changed)}; name another folder")
        values["variants"] = known | {v.name: list(v.overrides) for v in config.variants}
    files.write(str(path), yaml.safe_dump(values, sort_keys=False).encode(), force=True)


def _keep_start(config: AblationConfig, out: Path, progress: EvalProgress) -> Path | None:
    """Copy the weights to begin with, so that all runs begin with the same, even if the file changes meanwhile."""
    if not config.start:
        return None
    path = Path(config.start) if Path(config.start).is_file() else weights.locate(config.start)
    copy = out / f"start{path.suffix}"
    try:
        if not copy.exists():
            files.write(str(copy), path.read_bytes())
        elif copy.read_bytes() != path.read_bytes():
            progress.say(f"{config.start} has changed: runs begin with {copy}, as the earlier ones did")
    except OSError as error:
        raise PathError(f"{path}: {files.reason(error)}") from error
    return copy


def _train_all(config: AblationConfig, out: Path, progress: EvalProgress, jobs: int) -> tuple[TrainedVariant, ...]:
    tasks = [(variant, seed) for seed in config.seeds for variant in config.variants]
    progress.begin(len(tasks), 0)
    runs = {}
    for run in _train_in_any_order(config, out, tasks, min(jobs, len(tasks))):
        progress.done(f"{run_name(run.variant, run.seed)} trained")
        runs[run.variant, run.seed] = run
    return tuple(runs[variant.name, seed] for variant, seed in tasks)


def _train_in_any_order(
    config: AblationConfig, out: Path, tasks: Sequence[tuple[VariantConfig, int]], jobs: int
) -> Iterator[TrainedVariant]:
    if jobs == 1:
        for variant, seed in tasks:
            yield train_variant(config, variant, seed, out)
        return
    # Not forked: a fork of a process in which torch has threads can hang.
    with ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_set_threads,
        initargs=(max(1, cores() // jobs),),
    ) as pool:
        try:
            futures = [pool.submit(train_variant, config, variant, seed, out) for variant, seed in tasks]
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def train_variant(config: AblationConfig, variant: VariantConfig, seed: int, out: Path) -> TrainedVariant:
    """Train and export one run, as far as that is not done already.

    Raises:
        TacitError: The run failed; the message names it.
    """
    from tacit.training import config as training
    from tacit.training.checkpoint import read_checkpoint
    from tacit.training.export import export
    from tacit.training.run import fine_tune, train

    name = run_name(variant.name, seed)
    folder, target = out / "runs" / name, _weights_path(out, name)
    overrides = [*config.shared, *variant.overrides, f"run.seed={seed}", f"run.out={folder}", "run.progress=false"]
    if config.steps:
        overrides += [f"run.steps={config.steps}", "run.epochs=0", "run.minutes=0"]
    try:
        settings = training.read(config.training, overrides)
        start = next(out.glob("start.*"), None)
        last = train(settings) if start is None else fine_tune(settings, start)
        if not target.is_file() or target.stat().st_mtime < last.stat().st_mtime:
            target.parent.mkdir(parents=True, exist_ok=True)
            export(last, target, card={"study": f"variant {variant.name}, seed {seed}"})
    except TacitError as error:
        raise type(error)(f"{name}: {error}") from error
    return TrainedVariant(variant.name, seed, target, read_checkpoint(last).seconds)


# -- measuring --------------------------------------------------------------------------------------------------------


def _measure(
    config: AblationConfig,
    out: Path,
    set_config: SetConfig,
    dataset: Dataset,
    progress: EvalProgress,
    jobs: int,
    command: str,
) -> Iterator[Results]:
    """Measure all runs on one set of images, once for each kind of caption."""
    for kind in dict.fromkeys(variant.captions for variant in config.variants):
        runs = [(v, seed) for seed in config.seeds for v in config.variants if v.captions == kind]
        yield evaluate(
            EvalOptions(
                datasets=[set_config.source],
                codecs=[f"{_weights_path(out, run_name(v.name, seed))}{v.codec}" for v, seed in runs],
                metrics=config.measure.metrics,
                out=out / "measured" / f"{dataset.name}-{kind}",
                captions=write_caption_map(set_config, dataset, kind, out / "captions"),
                qualities={codec_name(v, seed): list(config.measure.qualities) for v, seed in runs},
                limit=set_config.limit or None,
                jobs=jobs,
                precision=config.measure.precision,
                crops=0,
                command=command,
            ),
            progress,
        )
