"""Lightning's trainer, set up for a run."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from tacit.errors import InvalidInput
from tacit.training.config import RunConfig


def build_trainer(run: RunConfig, callbacks: list[L.Callback], steps: int) -> L.Trainer:
    """Build the trainer of a run.

    Args:
        run: Where the run trains.
        callbacks: What happens around a step.
        steps: How many steps it makes; -1 for any number.

    Raises:
        InvalidInput: Lightning refuses the configuration.
    """
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


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hold back Lightning's advice and announcements, which are about other runs than these."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            log.setLevel(level)


def _loggers(out: Path) -> list[Logger]:
    """Return a logger of CSV files, and one for TensorBoard where that is installed."""
    loggers: list[Logger] = [CSVLogger(out, name="csv")]
    if importlib.util.find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(out, name="tensorboard"))
    return loggers
