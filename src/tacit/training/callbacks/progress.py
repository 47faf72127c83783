"""The progress of a run: means of its losses and its speed, for the loggers and the terminal."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

_COUNT = "count"  # the sum that counts the steps that are summed up


class TrainingProgress(L.Callback):
    """Writes the means since the last time, over all processes, to the loggers and the terminal.

    `images_per_second` counts all processes. `waiting` is the share of the time in which the network waited for data.
    The time of validation and checkpoints is not counted.

    Args:
        every: Steps between rows.
        show: Whether to show the progress: as a bar where standard error is a terminal, else as a line for each row.
    """

    def __init__(self, every: int, show: bool) -> None:
        self.every, self.show = every, show
        self._sums: dict[str, Tensor] = {}
        self._waited = self._worked = self._begun = 0.0
        self._bar: Any = None

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Begin to count."""
        pl_module.step_ended = time.monotonic()
        if self.show and trainer.is_global_zero and sys.stderr.isatty():
            from tqdm import tqdm

            total = pl_module.total_steps
            batch = pl_module.config.data.batch
            self._bar = tqdm(
                total=None if total is None else total * batch,
                initial=pl_module.steps * batch,
                unit="img",
                dynamic_ncols=True,
                smoothing=0.05,
            )

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note that the data have come."""
        self._begun = time.monotonic()
        self._waited += self._begun - pl_module.step_ended

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add the step up, and write a row when it is due."""
        self._worked += time.monotonic() - self._begun
        if pl_module.norm is not None:
            norm = pl_module.norm.detach()
            finite = norm.isfinite()  # nothing is read back from the device before a row is due
            for name, value in {**pl_module.log_values, "norm": norm, _COUNT: torch.ones_like(norm)}.items():
                counted = torch.where(finite, value, torch.zeros_like(value))
                self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + counted
        if self._bar is not None:
            self._bar.update(pl_module.config.data.batch)
        if pl_module.steps % self.every == 0:
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def on_exception(self, trainer: L.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Close the bar."""
        self.on_train_end(trainer, pl_module)

    def _write(self, trainer: L.Trainer, module: Any) -> None:
        reduce = trainer.strategy.reduce
        took = max(self._waited + self._worked, 1e-9)
        count = self._sums.pop(_COUNT, torch.ones(())).clamp_min(1)
        means = {k: float(reduce(v / count.to(v.device), reduce_op="mean")) for k, v in self._sums.items()}
        module.count_skipped()
        row = {
            **means,
            "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "gigapixels": module.pixels / 1e9,
            "images_per_second": self.every * module.config.data.batch / took,
            "waiting": self._waited / took,
            "skipped": module.skipped,
            "bad_images": int(module.over_processes(module.bad)),
        }
        for logger in trainer.loggers:
            logger.log_metrics(row, step=module.steps)
            logger.save()
        if self.show and trainer.is_global_zero:
            self._print(module, row)
        self._sums, self._waited, self._worked = {}, 0.0, 0.0

    def _print(self, module: Any, row: dict[str, Any]) -> None:
        """Show a row on the bar, or as a line."""
        loss, bpp, psnr = (row.get(name, math.nan) for name in ("loss", "bpp", "psnr"))
        text = f"loss {loss:.4f}, {bpp:.3f} bpp, {psnr:.2f} dB"
        trouble = "".join(f", {row[k]} {k.replace('_', ' ')}" for k in ("skipped", "bad_images") if row[k])
        left = ""
        if 0 < module.done < 1 and module.seconds:
            left = f", {module.seconds / 60 * (1 / module.done - 1):.0f} min left"
        if self._bar is not None:
            self._bar.set_postfix_str(text + trouble + (left if self._bar.total is None else ""))
            return
        left = f"{module.done:.1%} done{left}"
        speed = f"{row['images_per_second']:.1f} img/s, {row['waiting']:.0%} waiting"
        print(f"step {module.steps} ({left}): {text}, {speed}{trouble}", file=sys.stderr, flush=True)
