"""The time of a run: how long it has trained, when it ends, and when a checkpoint is due."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L

from tacit import files
from tacit.errors import PathError

EVERY = 5  # steps between looks at the clock, on whose time several processes must agree


class RunClock(L.Callback):
    """Counts the module's seconds, ends a run by time, and writes checkpoints.

    A checkpoint is written under a temporary name and then renamed, so that there is always a whole one.

    Args:
        folder: The folder of the checkpoint, last.ckpt.
        checkpoint_minutes: The age that the checkpoint reaches at most.
        minutes: How long the run trains; 0 for any time.
    """

    def __init__(self, folder: Path, checkpoint_minutes: float, minutes: float = 0.0) -> None:
        self.path = folder / "last.ckpt"
        self.checkpoint_minutes, self.minutes = checkpoint_minutes, minutes
        self._seconds_before = self._saved = 0.0
        self._started: float | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Note what the run has trained."""
        self._seconds_before = self._saved = pl_module.seconds

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Begin to count from when the module was ready, before the first step."""
        if self._started is None:
            self._started = pl_module.step_ended

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write a checkpoint, or end the run, when it is time."""
        if trainer.global_step % EVERY:
            return
        self._count(trainer, pl_module)
        if pl_module.seconds - self._saved >= 60 * self.checkpoint_minutes:
            self.save(trainer)
            self._saved = pl_module.seconds
        if self.minutes and pl_module.seconds >= 60 * self.minutes:
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Write the last checkpoint."""
        self._count(trainer, pl_module)
        self.save(trainer)

    def save(self, trainer: L.Trainer) -> None:
        """Write the checkpoint, on every process together.

        Raises:
            PathError: The checkpoint cannot be written.
        """
        temporary = self.path.with_suffix(".tmp")
        try:
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                files.move(temporary, self.path)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            raise PathError(f"{self.path}: the checkpoint cannot be written ({error})") from error

    def _count(self, trainer: L.Trainer, module: Any) -> None:
        """Set the module's seconds to those of the first process."""
        passed = 0.0 if self._started is None else time.monotonic() - self._started
        module.seconds = trainer.strategy.broadcast(self._seconds_before + passed)
