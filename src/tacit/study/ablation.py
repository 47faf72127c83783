"""Ablations: variants of one training run, each with several seeds, exported and measured on real files."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from tacit import files, weights
from tacit.errors import InvalidInput, PathError, TacitError
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.evaluate import EvalOptions, evaluate
from tacit.evaluation.results import Results
from tacit.evaluation.runner import Progress
from tacit.machine import cores
from tacit.study import sets
from tacit.study.config import AblationConfig, SetConfig, VariantConfig

SETTINGS = "study.yaml"


@dataclass(frozen=True)
class Trained:
    """One run. weights: the exported file. seconds: of training."""

    variant: str
    seed: int
    weights: Path
    seconds: float


@dataclass(frozen=True)
class Ablation:
    """start: the copy of the weights that all runs began with, if they did. measured: what the harness found, by set,
    once for each kind of caption; its codecs are the runs."""

    config: AblationConfig
    start: Path | None
    runs: tuple[Trained, ...]
    measured: Mapping[str, tuple[Results, ...]]


def run_name(variant: str, seed: int) -> str:
    """Of a run, its folder and its weights."""
    return f"{variant}-seed{seed}"


def codec_name(variant: VariantConfig, seed: int) -> str:
    """What results call the run's codec."""
    return run_name(variant.name, seed) + variant.codec


def _weights(out: Path, name: str) -> Path:
    return out / "weights" / f"{name}.safetensors"


def ablation(config: AblationConfig, out: Path, progress: Progress, *, jobs: int = 1, command: str = "") -> Ablation:
    """Train, export and measure all variants; what `out` has already is not done again.

    jobs: variants that train at a time, and processes that measure. command: how this can be run again.

    Raises: InvalidInput, PathError, MissingExtra, as training and measuring do.
    """
    kinds = dict.fromkeys(variant.captions for variant in config.variants if variant.codec)
    found = sets.find(config.measure.sets, kinds, progress)  # before hours of training
    _check_same(config, out)
    start = _keep_start(config, out, progress)
    runs = _train_all(config, out, progress, jobs)
    measured = {
        dataset.name: tuple(_measure(config, out, one, dataset, progress, jobs, command)) for one, dataset in found
    }
    return Ablation(config, start, runs, measured)


# -- training ---------------------------------------------------------------------------------------------------------


def _check_same(config: AblationConfig, out: Path) -> None:
    """A folder holds runs of one study, to which variants and seeds can be added: runs of other settings would be
    taken for these."""
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
            raise InvalidInput(f"{out} has runs of other settings ({', '.join(changed)} differs): name another folder")
        values["variants"] = known | {v.name: list(v.overrides) for v in config.variants}
    files.write(str(path), yaml.safe_dump(values, sort_keys=False).encode(), force=True)


def _keep_start(config: AblationConfig, out: Path, progress: Progress) -> Path | None:
    """A copy of the weights to begin with, from which all runs begin, whatever becomes of the file meanwhile."""
    if not config.start:
        return None
    path = Path(config.start) if Path(config.start).is_file() else weights.locate(config.start)
    kept = out / f"start{path.suffix}"
    try:
        if not kept.exists():
            files.write(str(kept), path.read_bytes())
        elif kept.read_bytes() != path.read_bytes():
            progress.say(f"{config.start} is another file by now: runs begin with {kept}, as those before did")
    except OSError as error:
        raise PathError(f"{path}: {files.reason(error)}") from error
    return kept


def _train_all(config: AblationConfig, out: Path, progress: Progress, jobs: int) -> tuple[Trained, ...]:
    tasks = [(variant, seed) for seed in config.seeds for variant in config.variants]
    progress.begin(len(tasks), 0)
    done = {}
    for trained in _trained(config, out, tasks, min(jobs, len(tasks))):
        progress.done(f"{run_name(trained.variant, trained.seed)} trained")
        done[trained.variant, trained.seed] = trained
    return tuple(done[variant.name, seed] for variant, seed in tasks)


def _trained(
    config: AblationConfig, out: Path, tasks: Sequence[tuple[VariantConfig, int]], jobs: int
) -> Iterator[Trained]:
    if jobs == 1:
        for variant, seed in tasks:
            yield train_one(config, variant, seed, out)
        return
    # Not forked: a fork of a process in which torch has threads can hang.
    with ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(max(1, cores() // jobs),),
    ) as pool:
        try:
            waiting = [pool.submit(train_one, config, variant, seed, out) for variant, seed in tasks]
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def train_one(config: AblationConfig, variant: VariantConfig, seed: int, out: Path) -> Trained:
    """One run, trained and exported, or what is there of it.

    Raises: TacitError, naming the run.
    """
    from tacit.training import config as training
    from tacit.training import fit
    from tacit.training.checkpoint import read_checkpoint
    from tacit.training.export import export

    name = run_name(variant.name, seed)
    folder, target = out / "runs" / name, _weights(out, name)
    overrides = [*config.shared, *variant.overrides, f"run.seed={seed}", f"run.out={folder}", "run.progress=false"]
    if config.steps:
        overrides += [f"run.steps={config.steps}", "run.epochs=0", "run.minutes=0"]
    try:
        settings = training.read(config.training, overrides)
        start = next(out.glob("start.*"), None)
        last = fit.train(settings) if start is None else fit.fine_tune(settings, start)
        if not target.is_file() or target.stat().st_mtime < last.stat().st_mtime:
            target.parent.mkdir(parents=True, exist_ok=True)
            export(last, target, card={"study": f"variant {variant.name}, seed {seed}"})
    except TacitError as error:
        raise type(error)(f"{name}: {error}") from error
    return Trained(variant.name, seed, target, read_checkpoint(last).seconds)


# -- measuring --------------------------------------------------------------------------------------------------------


def _measure(
    config: AblationConfig, out: Path, one: SetConfig, dataset: Dataset, progress: Progress, jobs: int, command: str
) -> Iterator[Results]:
    """The harness over one set, once for each kind of caption."""
    for kind in dict.fromkeys(variant.captions for variant in config.variants):
        runs = [(v, seed) for seed in config.seeds for v in config.variants if v.captions == kind]
        yield evaluate(
            EvalOptions(
                [one.source],
                [f"{_weights(out, run_name(v.name, seed))}{v.codec}" for v, seed in runs],
                config.measure.metrics,
                out / "measured" / f"{dataset.name}-{kind}",
                captions=sets.caption_map(one, dataset, kind, out / "captions"),
                qualities={codec_name(v, seed): list(config.measure.qualities) for v, seed in runs},
                limit=one.limit or None,
                jobs=jobs,
                precision=config.measure.precision,
                crops=0,
                command=command,
            ),
            progress,
        )
