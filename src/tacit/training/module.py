"""One training step, as Lightning runs it on any number of processes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from tacit.architectures import architecture_of
from tacit.errors import InvalidInput, TacitError
from tacit.models.float_model import FloatModel
from tacit.training.config import Config
from tacit.training.dataset.batches import Batch
from tacit.training.learning_rate import factor
from tacit.training.loss import Loss, quantile_loss
from tacit.training.muon import Muon, matrices
from tacit.training.quality_maps import vary

HOPELESS = 200  # steps in a row that were not finite


def fix(model: FloatModel, parts: Sequence[str]) -> None:
    """Keep the parameters whose names begin so from learning. Raises: InvalidInput, for a part that is not there."""
    names = dict(model.named_parameters())
    for part in parts:
        inside = [name for name in names if name == part or name.startswith(f"{part}.")]
        if not inside:
            there = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise InvalidInput(f"optimizer.fixed {part!r}: no such part of the model; there are {there}")
        for name in inside:
            names[name].requires_grad_(False)
    if not any(p.requires_grad for p in names.values()):
        raise InvalidInput("optimizer.fixed leaves nothing to learn")


class TrainingModule(L.LightningModule):
    """A model, its loss and its optimizer.

    steps, pixels, seconds: behind the run, those before it was resumed included. skipped: steps whose gradients were
    not finite, which change nothing; bad: images passed over. Both since the beginning, on this process.
    steps_before: those of a run that Lightning does not know of (checkpoints of the first days).
    """

    def __init__(self, config: Config, model: FloatModel, loss: Loss, epoch_size: int | None = None) -> None:
        super().__init__()
        self.config = config
        self.model = model
        self.loss = loss
        self.epoch_size = epoch_size
        self.steps_before = 0
        self.pixels = 0
        self.seconds = 0.0
        self.skipped = 0
        self.bad = 0
        self.norm: Tensor | None = None
        self.scheduled = 1  # the first groups of the optimizer, which are clipped and whose rate is scheduled
        self.shown: dict[str, Tensor] = {}
        self.step_ended = 0.0
        self._skipped_in_a_row = 0
        self._adam: dict[str, Any] = {}
        model.prior.quantiles.requires_grad_(config.optimizer.quantile_rate > 0)
        fix(model, config.optimizer.fixed)

    # -- where the run is -------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Optimizer steps behind the run."""
        return self.steps_before + int(self.global_step)

    @property
    def epochs(self) -> float:
        """Epochs behind the run; 0 for a stream."""
        return self.steps * self.config.data.batch / self.epoch_size if self.epoch_size else 0.0

    @property
    def total_steps(self) -> int | None:
        """Of the whole run; None where time ends it."""
        run = self.config.run
        if run.epochs and self.epoch_size:
            return max(1, round(run.epochs * self.epoch_size / self.config.data.batch))
        return run.steps or None

    @property
    def done(self) -> float:
        """The share of the run that is behind it."""
        total = self.total_steps
        return self.seconds / (60 * self.config.run.minutes) if total is None else self.steps / total

    # -- what Lightning calls ---------------------------------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam or Muon; with the quantiles, where they learn, as a group of its own that is neither clipped nor
        scheduled."""
        c = self.config.optimizer
        quantiles = self.model.prior.quantiles
        turned = matrices(self.model) if c.kind == "muon" else []
        apart = {id(p) for p in (*turned, quantiles)}
        gains = [p for name, p in self.model.named_parameters() if name.endswith("log_gain")] if c.gains != 1 else []
        apart |= {id(p) for p in gains}
        groups: list[dict[str, Any]] = [{"params": [p for p in self.model.parameters() if id(p) not in apart]}]
        if turned:
            groups.append({"params": turned, "orthogonal": True})
        if gains:
            groups.append({"params": gains, "times": c.gains})
        self.scheduled = len(groups)
        if c.quantile_rate:
            groups.append({"params": [quantiles], "lr": c.quantile_rate})
        optimizer: torch.optim.Optimizer
        if turned:
            optimizer = Muon(groups, c.learning_rate, c.betas)
        else:
            optimizer = torch.optim.Adam(groups, lr=c.learning_rate, betas=c.betas, fused=True)
        if self._adam and not turned:
            names = {id(p): name for name, p in self.model.named_parameters()}
            order = [names[id(p)] for group in groups for p in group["params"]]
            state = {i: self._adam[name] for i, name in enumerate(order) if name in self._adam}
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        return optimizer

    def begin_with(self, adam: dict[str, Any], steps: int, pixels: int) -> None:
        """Go on from a run that Lightning does not know of. adam: the optimizer's state by the parameters' names."""
        self._adam, self.steps_before, self.pixels = adam, steps, pixels

    def on_fit_start(self) -> None:
        """Networks that only judge are no part of the module; they follow it to its device here."""
        if self.loss.joint is not None:
            self.loss.joint.to(self.device)
        if isinstance(self.loss.distance, torch.nn.Module):
            self.loss.distance.to(self.device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """The learning rate of this step."""
        c = self.config
        rate = c.optimizer.learning_rate * factor(c.schedule, self.steps, self.done, self.epochs)
        for group in self.optimizers().param_groups[: self.scheduled]:  # type: ignore[union-attr]
            group["lr"] = rate * group.get("times", 1.0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        assert batch.pixels is not None
        x = batch.pixels.float().div(255)
        if self.config.run.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        quality, data = batch.quality, self.config.data
        if data.quality_maps:
            quality = vary(quality, batch.seeds, data.crop, data.quality_maps, data.quality_spread)
        out = self.model(x, batch.tokens, quality, batch.seeds, self.config.loss.rounded)
        with torch.autocast(x.device.type, enabled=False):
            terms = self.loss(out, x, quality, batch.captions, self._gather)
            loss = terms.loss
            if self.config.optimizer.quantile_rate:
                loss = loss + quantile_loss(self.model.prior)
        self.shown = terms.values
        self.bad += batch.bad
        self.pixels += x.shape[0] * x.shape[2] * x.shape[3] * self.trainer.world_size
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """After all callbacks: from here on the next step waits for its data."""
        self.step_ended = time.monotonic()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip, or drop the gradients where they are not finite: Adam then leaves everything as it is."""
        limit = self.config.optimizer.clip or math.inf
        clipped = [p for group in optimizer.param_groups[: self.scheduled] for p in group["params"]]
        self.norm = torch.nn.utils.clip_grad_norm_(clipped, limit)
        if bool(self.norm.isfinite()):
            self._skipped_in_a_row = 0
            return
        optimizer.zero_grad(set_to_none=True)
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= HOPELESS:
            raise TacitError(
                f"the last {HOPELESS} steps were not finite: begin again with a lower optimizer.learning_rate"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What makes a checkpoint complete in itself."""
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
        """The counts."""
        for name in ("steps_before", "pixels", "seconds", "skipped"):
            setattr(self, name, checkpoint["tacit"][name])
        self.bad = checkpoint["tacit"]["bad"] if self.trainer.is_global_zero else 0

    def over_processes(self, count: float) -> float:
        """The sum of a count over all processes, each of which must ask."""
        total: Any = self.trainer.strategy.reduce(torch.tensor(float(count), device=self.device), reduce_op="sum")
        return float(total)

    def _gather(self, t: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return t
        gathered: Any = self.all_gather(t, sync_grads=True)  # [processes, B, ...]
        return gathered.flatten(0, 1)  # type: ignore[no-any-return]
