"""A training run from its configuration: `train`, and `fine_tune` from weights that are there."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import os
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from tacit import weights
from tacit.architectures import architecture_of
from tacit.errors import CorruptWeights, InvalidInput, PathError, TacitError
from tacit.models.building import build
from tacit.models.float_model import FloatModel
from tacit.training import datamodule
from tacit.training.callbacks.ema import Ema
from tacit.training.callbacks.progress import TrainingProgress
from tacit.training.callbacks.run_clock import RunClock
from tacit.training.callbacks.validation import Validation, ValidationImage
from tacit.training.checkpoint import Checkpoint, read_checkpoint
from tacit.training.clip_loss import ClipLoss
from tacit.training.config import Config, LossConfig, ModelConfig, OptimizerConfig
from tacit.training.datamodule import TrainingData, pictures
from tacit.training.export import CROPS
from tacit.training.klt import start_as_klt
from tacit.training.loss import Distance, Loss
from tacit.training.module import TrainingModule

log = logging.getLogger(__name__)

KLT_CROPS = 2500


def train(config: Config, *, resume: Path | None = None, start: FloatModel | None = None) -> Path:
    """Train until the configuration's end, and return the path of the last checkpoint.

    Goes on from `config.run.out`/last.ckpt where there is one, else from `resume`, else begins with `start`, else anew.
    A run that goes on equals, bit for bit on a CPU, one that was never stopped (but for streams and runs by the clock).

    Raises: InvalidInput, PathError, CorruptWeights, MissingExtra, MissingWeights; TacitError, for a run that diverged;
    KeyboardInterrupt.
    """
    out = Path(config.run.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"{out}: {error.strerror}") from error
    last = out / "last.ckpt"
    source = last if last.is_file() else resume
    before = None if source is None else read_checkpoint(source)
    if before is not None:
        _same_optimizer(config, before)
    if source == last and before is not None and _finished(config, before):
        return last
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    torch.manual_seed(config.run.seed)
    if before is not None:
        model = before.trained()
        config = _of_model(config, model)
    else:
        model = build(config.model.name, config.model.options) if start is None else start
    feed = TrainingData(config, model.config.text_encoder, model.config.text_width, before.steps if before else 0)
    if before is None and start is None and config.model.start == "klt" and architecture_of(model).klt_start:
        count = KLT_CROPS if feed.epoch_size is None else min(KLT_CROPS, 40 * feed.epoch_size)
        start_as_klt(model, feed.crops(count, config.run.seed))
    loss = make_loss(config)
    if config.run.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train().requires_grad_(True)  # a published checkpoint comes ready for use
    module = TrainingModule(config, model, loss, feed.epoch_size)
    ema = Ema(model, config.optimizer.ema)
    module.steps_before = before.steps_before if before else 0
    if before is not None and before.adam is not None:
        module.begin_with(dict(before.adam), before.steps, before.pixels)
        ema.begin_with(before.average, before.steps)
    if module.total_steps is None and config.run.epochs:
        raise InvalidInput("run.epochs counts photos, which a stream of shards has not: give run.steps or run.minutes")
    if config.run.compile:
        model.compile()
    try:
        (out / "config.yaml").write_text(config.to_yaml(), "utf-8")
    except OSError as error:
        raise PathError(f"{out}: {error.strerror}") from error
    total = module.total_steps
    with _quiet():
        callbacks = [
            ema,
            TrainingProgress(config.run.log_every, config.run.progress),
            *_validation(config, ema, feed),
            RunClock(out, config.run.checkpoint_minutes, config.run.minutes),
        ]
        trainer = _trainer(config, callbacks, -1 if total is None else max(0, total - module.steps_before))
        lightning = source if before is not None and before.adam is None else None
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, datamodule=feed, ckpt_path=lightning, weights_only=True)
        except SystemExit as error:  # what Lightning makes of Ctrl-C, which it then ignores for good
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from error
        except TacitError as error:
            raise _of_worker(error) from error
    return last


def _same_optimizer(config: Config, before: Checkpoint) -> None:
    """Its state fits the same groups of parameters only. Raises: InvalidInput."""
    if before.config is None:
        return
    was, now = before.config["optimizer"], config.optimizer
    usual = OptimizerConfig()
    for name, group in (
        ("kind", lambda kind: kind),
        ("gains", lambda times: times != 1),
        ("quantile_rate", bool),
    ):
        had, has = was.get(name, getattr(usual, name)), getattr(now, name)
        if group(had) != group(has):
            raise InvalidInput(
                f"optimizer.{name} {has}: {before.path} was made with {had}; "
                "`tacit fine-tune` begins with its weights and another optimizer"
            )


def _of_worker(error: TacitError) -> TacitError:
    """An error of a loader's process, whose text torch makes a traceback of, by its own text again."""
    text = str(error)
    if "Original Traceback" not in text:
        return error
    return type(error)(text.rsplit(f"{type(error).__name__}: ", 1)[-1].strip())


def _finished(config: Config, before: Checkpoint) -> bool:
    """Whether nothing is left to do; epochs are counted later."""
    run = config.run
    return before.steps >= run.steps > 0 or before.seconds >= 60 * run.minutes > 0


def fine_tune(config: Config, source: str | os.PathLike[str]) -> Path:
    """Train from weights: a training checkpoint (its average), a weights file or its name, or a published TACO
    checkpoint.

    The model is that of the weights; of the configuration's model only options.attention and options.linear_length are
    used, if they are given. A run that was begun goes on, and the log says so.

    Raises: as `train`.
    """
    last = Path(config.run.out) / "last.ckpt"
    if last.is_file():
        log.warning("%s goes on, and %s is not read: to begin with that, give another run.out", last, source)
        return train(config)
    model = attend(load_float(source), config.model.options)
    return train(_of_model(config, model), start=model)


def attend(model: FloatModel, options: Mapping[str, Any]) -> FloatModel:
    """The model with the attention and linear_length of the options, if they are there. Full attention has what linear
    needs but the projections, which then begin by pooling neighbours; so they do where linear_length changes.

    Raises: InvalidInput.
    """
    before = model.config.as_dict()
    about = before | {k: options[k] for k in ("attention", "linear_length") if k in options}
    if about == before:
        return model
    changed = build(architecture_of(model).name, about)
    fresh = changed.state_dict()
    known = {k: v for k, v in model.state_dict().items() if k in fresh and v.shape == fresh[k].shape}
    changed.load_state_dict(fresh | known)
    return changed


def prepare(config: Config, folder: Path) -> tuple[int, int]:
    """Write the photos and embedded captions of a run to files of at most 15 MB, which data.kind prepared reads where
    the text encoder is not. Returns how many photos and captions.

    Raises: PathError, InvalidInput, MissingExtra, MissingWeights.
    """
    model = build(config.model.name, config.model.options).config
    return datamodule.prepare(config, model.text_encoder, model.text_width, folder)


def load_float(source: str | os.PathLike[str]) -> FloatModel:
    """A float model out of whatever holds one. Raises: UnknownModel, PathError, CorruptWeights."""
    from tacit.models.taco_import import load_published, read_published

    path = Path(source)
    if not path.is_file():
        path = weights.locate(source)
    if path.suffix == ".safetensors":
        from tacit.training.thawing import thaw

        return thaw(path)
    if path.suffix in (".ckpt", ".pt"):
        return read_checkpoint(path).averaged()
    state = read_published(path)
    try:
        return load_published(state)
    except CorruptWeights as error:
        raise CorruptWeights(f"{path}: {error}") from error


def make_loss(config: Config) -> Loss:
    """The terms that have a weight, with their networks."""
    c = config.loss
    joint = ClipLoss(c.clip, c.beta, published=c.published_joint) if c.joint else None
    return Loss(c, _distance(c), joint)


def _distance(config: LossConfig) -> Distance | None:
    if not config.perceptual:
        return None
    from tacit.pretrained.feature_distance import load_feature_distance
    from tacit.pretrained.lpips import load_lpips

    backbone, heads = config.perceptual_backbone or None, config.perceptual_heads or None
    if config.perceptual_net == "features":
        return load_feature_distance(backbone)
    network: Any = config.perceptual_net
    scale: Any = config.perceptual_scale
    return load_lpips(network, scale=scale, backbone=backbone, heads=heads)


def _of_model(config: Config, model: FloatModel) -> Config:
    about = ModelConfig(architecture_of(model).name, model.config.as_dict(), config.model.start)
    return dataclasses.replace(config, model=about)


def _trainer(config: Config, callbacks: list[L.Callback], steps: int) -> L.Trainer:
    run = config.run
    try:
        return L.Trainer(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.nodes,
            strategy=run.strategy,
            precision=run.precision,  # type: ignore[arg-type]
            deterministic=run.deterministic,
            benchmark=not run.deterministic,
            max_steps=steps,
            max_epochs=-1,
            callbacks=callbacks,
            logger=_loggers(Path(run.out)),
            log_every_n_steps=run.log_every,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
    except (ValueError, MisconfigurationException) as error:
        raise InvalidInput(f"run: {next(iter(str(error).splitlines()), type(error).__name__)}") from error


def _validation(config: Config, ema: Ema, feed: TrainingData) -> list[L.Callback]:
    c = config.validation
    if not c.images:
        return []
    shown = [ValidationImage(*picture) for picture in pictures(c.images, c.count)]
    return [Validation(c, shown, ema, lambda: feed.crops(CROPS), feed.captions)]


def _loggers(out: Path) -> list[Logger]:
    """CSV always, TensorBoard where it is installed."""
    loggers: list[Logger] = [CSVLogger(out, name="csv")]
    if importlib.util.find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(out, name="tensorboard"))
    return loggers


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what Lightning advises and announces: it is about other runs than these."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            log.setLevel(level)
