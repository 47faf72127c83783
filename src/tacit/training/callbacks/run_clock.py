"""Time: how long a run has trained, when it ends, and when a checkpoint is due."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L

from tacit.errors import PathError

EVERY = 5  # steps between looks at the clock: several processes must agree on the time


class RunClock(L.Callback):
    """Counts the module's seconds, ends a run of so many minutes, and keeps `folder`/last.ckpt at most
    `checkpoint_minutes` old. A checkpoint is written under a temporary name, then renamed: there is always a whole one.
    """

    def __init__(self, folder: Path, checkpoint_minutes: float, minutes: float = 0.0) -> None:
        self.path = folder / "last.ckpt"
        self.checkpoint_minutes, self.minutes = checkpoint_minutes, minutes
        self._before = self._begun = self._saved = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Begin to count."""
        self._before = self._saved = pl_module.seconds
        self._begun = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look at the clock."""
        if trainer.global_step % EVERY:
            return
        pl_module.seconds = trainer.strategy.broadcast(self._before + time.monotonic() - self._begun)
        if pl_module.seconds - self._saved >= 60 * self.checkpoint_minutes:
            self.save(trainer)
            self._saved = pl_module.seconds
        if self.minutes and pl_module.seconds >= 60 * self.minutes:
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """The last checkpoint."""
        pl_module.seconds = trainer.strategy.broadcast(self._before + time.monotonic() - self._begun)
        self.save(trainer)

    def save(self, trainer: L.Trainer) -> None:
        """Write the checkpoint, on every process together. Raises: PathError."""
        temporary = self.path.with_suffix(".tmp")
        try:
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                temporary.replace(self.path)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            raise PathError(f"{self.path}: the checkpoint cannot be written ({error})") from error
