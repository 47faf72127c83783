"""A training run from its configuration: `train`, and `fine_tune` from weights that exist."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
from pathlib import Path

import lightning.pytorch as L
import torch

from tacit import files
from tacit.architectures import FIRST, architecture_of
from tacit.errors import InvalidInput, PathError, TacitError
from tacit.models.building import build
from tacit.models.float_model import FloatModel
from tacit.training.callbacks.ema import Ema
from tacit.training.callbacks.progress import TrainingProgress
from tacit.training.callbacks.run_clock import RunClock
from tacit.training.callbacks.validation import Validation
from tacit.training.captured import CapturedModule
from tacit.training.checkpoint import Checkpoint, read_checkpoint
from tacit.training.config import Config, ModelConfig, OptimizerConfig, RunConfig
from tacit.training.datamodule import TrainingData
from tacit.training.dataset.pool import ImagePool
from tacit.training.dataset.samples import ImageSource
from tacit.training.freezing import CROPS
from tacit.training.klt import start_as_klt
from tacit.training.loss import build_loss
from tacit.training.module import TrainingModule
from tacit.training.starting_weights import load_float_model, with_options
from tacit.training.trainer import build_trainer, quiet_lightning
from tacit.training.validation_images import read_validation_images

log = logging.getLogger(__name__)

KLT_CROPS = 2500


def train(
    config: Config,
    *,
    resume: Path | None = None,
    start: FloatModel | None = None,
    images: ImageSource | None = None,
) -> Path:
    """Train until the end that the configuration sets.

    A run goes on from `config.run.out`/last.ckpt where there is one, else from `resume`; else it begins with `start`,
    else anew. A run that goes on equals, bit for bit on a CPU, one that was never stopped, except for streams and for
    runs that time ends.

    Args:
        config: The configuration of the run.
        resume: A checkpoint to go on from.
        start: A model to begin with.
        images: The run's images, where they are open already; by default those of the configuration.

    Returns:
        The path of the last checkpoint.

    Raises:
        InvalidInput: The configuration cannot be run.
        PathError: A file cannot be read or written.
        CorruptWeights: A checkpoint is damaged.
        MissingExtra: A package that the configuration needs is not installed.
        MissingWeights: A network that the configuration needs is not on this machine.
        TacitError: The run diverged.
        KeyboardInterrupt: The run was interrupted.
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
        _check_optimizer(config.optimizer, before)
        if source == last and _is_finished(config.run, before):
            return last
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    torch.manual_seed(config.run.seed)
    if before is not None:
        model = before.trained_model()
        config = _with_model(config, model)
    else:
        model = build(config.model.name, config.model.options) if start is None else start
    data = TrainingData(
        config,
        model.config.text_encoder,
        model.config.text_width,
        before.steps if before else 0,
        images=images,
    )
    drawn = drawn_on_device(config, data.images)
    if drawn:
        data.draw_on_device()
    if before is None and start is None and config.model.start == "klt" and architecture_of(model).klt_start:
        count = KLT_CROPS if data.epoch_size is None else min(KLT_CROPS, 40 * data.epoch_size)
        start_as_klt(model, data.crops(count, config.run.seed))
    loss = build_loss(config.loss)
    if config.run.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train().requires_grad_(True)  # a published checkpoint comes ready for use
    module = (CapturedModule if drawn else TrainingModule)(config, model, loss, data.epoch_size)
    if isinstance(module, CapturedModule):
        module.open_samples = data.device_samples
    ema = Ema(model, config.optimizer.ema)
    if before is not None:
        module.steps_before = before.steps_before
        if before.adam_state is not None:
            module.begin_with(dict(before.adam_state), before.steps, before.pixels)
            ema.begin_with(before.average, before.steps)
    if module.total_steps is None and config.run.epochs:
        raise InvalidInput("run.steps or run.minutes must be given for a stream of shards, which has no epochs")
    if config.run.compile:
        model.compile()
    files.write(str(out / "config.yaml"), config.to_yaml().encode(), force=True)
    # Lightning cannot restore the files of the first script, whose state was taken over above.
    checkpoint = source if before is not None and before.adam_state is None else None
    _fit(config, module, data, ema, checkpoint)
    return last


def fine_tune(config: Config, source: str | os.PathLike[str], *, images: ImageSource | None = None) -> Path:
    """Train from weights that exist.

    The model is that of the weights; of the configuration's model only options.attention, options.linear_length and
    the numbers of blocks are used, if they are given. Where `config.run.out` has a checkpoint, that run goes on, and
    the log reports it.

    Args:
        config: The configuration of the run.
        source: A training checkpoint, whose average is used; a weights file or its name; or a published TACO
            checkpoint.
        images: The run's images, where they are open already; by default those of the configuration.

    Returns:
        The path of the last checkpoint.

    Raises:
        TacitError: As `train` does, or the weights cannot be loaded.
        KeyboardInterrupt: The run was interrupted.
    """
    last = Path(config.run.out) / "last.ckpt"
    if last.is_file():
        log.warning("%s goes on, and %s is not read; to begin with these weights, set another run.out", last, source)
        return train(config, images=images)
    model = with_options(load_float_model(source), config.model.options)
    return train(_with_model(config, model), start=model, images=images)


def drawn_on_device(config: Config, images: ImageSource | None) -> bool:
    """Return whether a run draws its batches on the device that trains.

    Args:
        config: The configuration of the run.
        images: The run's images; None for a stream.

    Raises:
        InvalidInput: The configuration asks for what cannot be.
    """
    run = config.run
    cuda = run.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if run.step == "captured" and not cuda:
        raise InvalidInput("run.step captured needs a CUDA device; run.step device makes the same steps anywhere")
    obstacles = {
        "data.kind shards": images is None,
        "loss.joint": config.loss.joint > 0,
        "more than one device": run.devices != 1 or run.nodes != 1,
        "run.compile": run.compile,
        "run.deterministic": run.deterministic,
    }
    found = [name for name, there in obstacles.items() if there]
    if run.step in ("device", "captured"):
        if found:
            raise InvalidInput(f"run.step must be auto or loader with {' and '.join(found)}, got {run.step}")
        return True
    if run.step == "loader" or not cuda or found or config.model.name != FIRST.name:
        return False
    return isinstance(images, ImagePool) and images.pixels.nbytes <= torch.cuda.mem_get_info()[1] // 2


def _fit(config: Config, module: TrainingModule, data: TrainingData, ema: Ema, checkpoint: Path | None) -> None:
    """Run Lightning's trainer.

    Args:
        config: The configuration of the run.
        module: The model, its loss and its optimizer.
        data: The run's data.
        ema: The moving average.
        checkpoint: What Lightning restores; None to begin with the module as it is.
    """
    run = config.run
    total = module.total_steps
    with quiet_lightning():
        callbacks = [
            ema,
            TrainingProgress(run.log_every, run.progress),
            *_validation(config, ema, data),
            RunClock(Path(run.out), run.checkpoint_minutes, run.minutes),
        ]
        trainer = build_trainer(run, callbacks, -1 if total is None else max(0, total - module.steps_before))
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as error:  # Lightning turns Ctrl-C into this, and then ignores the signal for good
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from error
        except TacitError as error:
            raise _worker_error(error) from error


def _validation(config: Config, ema: Ema, data: TrainingData) -> list[L.Callback]:
    c = config.validation
    if not c.images:
        return []
    images = read_validation_images(c.images, c.count)
    return [Validation(c, images, ema, lambda: data.crops(CROPS), data.tokens)]


def _check_optimizer(config: OptimizerConfig, before: Checkpoint) -> None:
    """Check that a checkpoint's optimizer has the same groups of parameters, as its state fits no others.

    Raises:
        InvalidInput: The groups differ.
    """
    if before.config is None:
        return
    old, default = before.config["optimizer"], OptimizerConfig()
    for name, group in (
        ("kind", lambda kind: kind),
        ("gains", lambda times: times != 1),
        ("quantile_rate", bool),
    ):
        had, has = old.get(name, getattr(default, name)), getattr(config, name)
        if group(had) != group(has):
            raise InvalidInput(
                f"optimizer.{name} must stay {had}, as in {before.path}, got {has}; "
                "`tacit fine-tune` begins with its weights and another optimizer"
            )


def _worker_error(error: TacitError) -> TacitError:
    """Return an error of a data loader's process with its own text, of which torch makes a traceback."""
    text = str(error)
    if "Original Traceback" not in text:
        return error
    return type(error)(text.rsplit(f"{type(error).__name__}: ", 1)[-1].strip())


def _is_finished(run: RunConfig, before: Checkpoint) -> bool:
    """Return whether nothing is left to do; epochs are counted later."""
    return before.steps >= run.steps > 0 or before.seconds >= 60 * run.minutes > 0


def _with_model(config: Config, model: FloatModel) -> Config:
    """Return the configuration with the architecture and sizes of a model."""
    section = ModelConfig(architecture_of(model).name, model.config.as_dict(), config.model.start)
    return dataclasses.replace(config, model=section)
