"""One training step, as Lightning runs it on any number of processes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from tacit.architectures import architecture_of
from tacit.errors import TacitError
from tacit.models.float_model import FloatModel
from tacit.text.tokens import TextTokens
from tacit.training.config import Config
from tacit.training.dataset.batches import Batch
from tacit.training.learning_rate import learning_rate_factor
from tacit.training.loss import Loss, Terms, quantile_loss
from tacit.training.optimizer import build_optimizer, fix_parts
from tacit.training.prefixes import random_prefixes
from tacit.training.quality_maps import random_quality_maps

MAX_SKIPPED = 200  # steps in a row without finite gradients that end a run


class TrainingModule(L.LightningModule):
    """A model, its loss and its optimizer.

    Args:
        config: The configuration of the run.
        model: The model.
        loss: Its loss.
        epoch_size: Images in an epoch; None for a stream.

    Raises:
        InvalidInput: A part that is not to learn does not exist.
    """

    def __init__(self, config: Config, model: FloatModel, loss: Loss, epoch_size: int | None = None) -> None:
        super().__init__()
        self.config = config
        self.model = model
        self.loss = loss
        self.epoch_size = epoch_size
        self.steps_before = 0
        """Steps that were made before the run and that Lightning does not know of (see `Checkpoint`)."""
        self.pixels = 0
        """Pixels that the run has seen on all processes, those before it was resumed included."""
        self.seconds = 0.0
        """Seconds that the run has trained, those before it was resumed included."""
        self.skipped = 0
        """Steps whose gradients were not finite, and which changed nothing."""
        self.bad = 0
        """Bad images that were passed over, on this process."""
        self.norm: Tensor | None = None
        """The norm of the last step's gradients."""
        self.scheduled = 1
        """How many of the optimizer's first parameter groups are clipped and scheduled."""
        self.log_values: dict[str, Tensor] = {}
        """What a log shows of the last step."""
        self.step_ended = 0.0
        """When the last step ended, by the monotonic clock."""
        self._skipped_in_a_row = 0
        self._adam_state: dict[str, Any] = {}
        model.prior.quantiles.requires_grad_(config.optimizer.quantile_rate > 0)
        fix_parts(model, config.optimizer.fixed)

    # -- where the run is -------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Optimizer steps that are behind the run."""
        return self.steps_before + int(self.global_step)

    @property
    def epochs(self) -> float:
        """Epochs that are behind the run; 0 for a stream."""
        return self.steps * self.config.data.batch / self.epoch_size if self.epoch_size else 0.0

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run; None where time ends it."""
        run = self.config.run
        if run.epochs and self.epoch_size:
            return max(1, round(run.epochs * self.epoch_size / self.config.data.batch))
        return run.steps or None

    @property
    def done(self) -> float:
        """The share of the run that is behind it, 0 to 1."""
        total = self.total_steps
        return self.seconds / (60 * self.config.run.minutes) if total is None else self.steps / total

    # -- what Lightning calls ---------------------------------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimizer."""
        optimizer, self.scheduled = build_optimizer(self.model, self.config.optimizer, self._adam_state)
        return optimizer

    def begin_with(self, adam_state: dict[str, Any], steps: int, pixels: int) -> None:
        """Go on from a run that Lightning does not know of.

        Args:
            adam_state: Adam's state by the parameters' names.
            steps: Steps of that run.
            pixels: Pixels that it has seen.
        """
        self._adam_state, self.steps_before, self.pixels = adam_state, steps, pixels

    def on_fit_start(self) -> None:
        """Move the loss' networks to the device; they do not learn, and so are no part of the module."""
        self.loss.to(self.device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of this step."""
        c = self.config
        rate = c.optimizer.learning_rate * learning_rate_factor(c.schedule, self.steps, self.done, self.epochs)
        for group in self.optimizers().param_groups[: self.scheduled]:  # type: ignore[union-attr]
            own = rate * group.get("times", 1.0)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(own)
            else:
                group["lr"] = own

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        assert batch.pixels is not None
        x = batch.pixels.float().div(255)
        if self.config.run.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        quality, data = batch.quality, self.config.data
        if data.quality_maps:
            quality = random_quality_maps(quality, batch.seeds, data.crop, data.quality_maps, data.quality_spread)
        terms = self.terms(x, batch.tokens, quality, batch.seeds, batch.captions)
        self.log_values = terms.values
        self.bad += batch.bad
        self.pixels += x.shape[0] * x.shape[2] * x.shape[3] * self.trainer.world_size
        return terms.loss

    def terms(
        self,
        x: Tensor,
        tokens: TextTokens,
        quality: Tensor,
        seeds: Tensor | None = None,
        captions: Sequence[str | None] = (),
    ) -> Terms:
        """Return the losses of samples.

        Args:
            x: Images [B, 3, S, S] in [0, 1].
            tokens: Of the captions that the encoder sees.
            quality: The qualities [B], or maps of these.
            seeds: The seeds of the samples' noise [B]; without them torch's own generator draws it.
            captions: The images' own captions, which only the joint loss asks for.
        """
        c = self.config
        decoded = in_part = None
        if c.loss.partial:
            groups = len(self.model.config.groups)
            decoded = random_prefixes(quality, seeds, groups, c.loss.partial)
            in_part = decoded < 2 * groups
        out = self.model(x, tokens, quality, seeds, c.loss.rounded, decoded)
        with torch.autocast(x.device.type, enabled=False):
            terms = self.loss(out, x, quality, captions, self._gather, in_part)
            if c.optimizer.quantile_rate:
                terms = replace(terms, loss=terms.loss + quantile_loss(self.model.prior))
        return terms

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Note the time, after all callbacks: from here on the next step waits for its data."""
        self.step_ended = time.monotonic()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients, or drop them where they are not finite: Adam then leaves everything as it is.

        Raises:
            TacitError: The last `MAX_SKIPPED` steps were not finite.
        """
        self.norm = self.limit_gradients(optimizer)
        if bool(self.norm.isfinite()):
            self._skipped_in_a_row = 0
            return
        optimizer.zero_grad(set_to_none=True)
        self.skipped += 1
        self._skipped_in_a_row += 1
        self.check_skipped(self._skipped_in_a_row)

    def limit_gradients(self, optimizer: torch.optim.Optimizer) -> Tensor:
        """Scale the gradients down to the largest norm, and return the norm that they had."""
        limit = self.config.optimizer.clip or math.inf
        clipped = [p for group in optimizer.param_groups[: self.scheduled] for p in group["params"]]
        return torch.nn.utils.clip_grad_norm_(clipped, limit)

    def count_skipped(self) -> None:
        """Bring `skipped` up to date, where it is counted elsewhere; called before it is read."""

    @staticmethod
    def check_skipped(in_a_row: int) -> None:
        """Check how many steps in a row were skipped.

        Raises:
            TacitError: They are `MAX_SKIPPED` or more.
        """
        if in_a_row >= MAX_SKIPPED:
            raise TacitError(
                f"the last {MAX_SKIPPED} steps were not finite: begin again with a lower optimizer.learning_rate"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes a checkpoint complete in itself."""
        self.count_skipped()
        checkpoint["tacit"] = {
            "config": self.config.as_dict(),
            "architecture": architecture_of(self.model).name,
            "model_config": self.model.config.as_dict(),
            "steps": self.steps,
            "steps_before": self.steps_before,
            "pixels": self.pixels,
            "seconds": self.seconds,
            "skipped": self.skipped,
            "bad": int(self.over_processes(self.bad)),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the counts from a checkpoint."""
        for name in ("steps_before", "pixels", "seconds", "skipped"):
            setattr(self, name, checkpoint["tacit"][name])
        self.bad = checkpoint["tacit"]["bad"] if self.trainer.is_global_zero else 0

    def over_processes(self, count: float) -> float:
        """Return the sum of a count over all processes, each of which must call this."""
        total: Any = self.trainer.strategy.reduce(torch.tensor(float(count), device=self.device), reduce_op="sum")
        return float(total)

    def _gather(self, t: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return t
        gathered: Any = self.all_gather(t, sync_grads=True)  # [processes, B, ...]
        return gathered.flatten(0, 1)  # type: ignore[no-any-return]
