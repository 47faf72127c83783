"""A training step on the device alone: samples, losses, gradients and the optimizer, captured as one CUDA graph.

The graph is recorded once and replayed for each step, so that nothing in a step waits for the CPU: no tensor is made
there, and no value is read back. What is logged is read at the rows of the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tacit.models.layers import compile_blocks
from tacit.training.dataset.device_samples import DeviceBatch, DeviceSamples
from tacit.training.module import TrainingModule
from tacit.training.muon import Muon
from tacit.training.optimizer import build_optimizer

WARM_UP = 3  # steps before the capture, in which libraries choose their kernels; they leave no trace
AHEAD = 4  # steps that the CPU is ahead of the device at most, so that the clock counts what was trained


class CapturedModule(TrainingModule):
    """A model that trains on samples drawn on its device.

    Lightning runs it like any other module, but what it calls for backward pass, clipping and optimizer does nothing:
    the step has done all of that.
    """

    open_samples: Callable[[torch.device], DeviceSamples] | None = None
    """Puts the samples on a device; it must be set before the first step."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build an optimizer whose steps can be captured."""
        optimizer, self.scheduled = build_optimizer(
            self.model, self.config.optimizer, self._adam_state, capturable=True
        )
        return optimizer

    def on_train_start(self) -> None:
        """Make ready what a step needs: the samples, all state on the device, and the graph."""
        assert self.open_samples is not None
        optimizer: Any = self.optimizers()
        self.begin(getattr(optimizer, "optimizer", optimizer), self.open_samples(self.device))
        self.step_ended = time.monotonic()

    def begin(self, optimizer: torch.optim.Optimizer, samples: DeviceSamples) -> None:
        """Get ready to make steps.

        Args:
            optimizer: What `configure_optimizers` returned, with the state to go on with.
            samples: The samples, on the module's device.
        """
        assert isinstance(optimizer, Muon)
        self.optimizer, self._samples = optimizer, samples
        self.optimizer.prepare(self.device)
        self._learning = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        self._bad_steps = torch.zeros(2, device=self.device)  # those of all time, and the last ones in a row
        self._bad_steps[0] = self.skipped
        self._graph: torch.cuda.CUDAGraph | None = None
        torch.manual_seed(self.config.run.seed + self.steps)
        if self.config.run.step != "device" and self.device.type == "cuda":
            compile_blocks(self.model)
            self._graph = self._capture()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Make one step, and return its loss."""
        values = self.make_step()
        data = self.config.data
        self.pixels += data.batch * data.crop**2
        if self._graph is not None and batch_idx % AHEAD == 0:
            torch.cuda.synchronize()
        return values["loss"]

    def make_step(self) -> dict[str, Tensor]:
        """Make one step, and return its losses, which the next step may overwrite."""
        if self._graph is None:
            self.step_on_device()
        else:
            self._graph.replay()
        return self.log_values

    def step_on_device(self, batch: DeviceBatch | None = None) -> None:
        """Make one step on a batch, or on one that is drawn."""
        run = self.config.run
        kind = self.device.type
        for p in self._learning:
            p.grad = None
        with torch.autocast(kind, enabled=False, cache_enabled=False):
            if batch is None:
                batch = self._samples.draw()
            x = batch.pixels.float().div(255)
            if run.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            mixed = run.precision == "bf16-mixed"
            with torch.autocast(kind, dtype=torch.bfloat16, enabled=mixed, cache_enabled=False):
                terms = self.terms(x, batch.tokens, batch.quality)
            terms.loss.backward()
            self.log_values = terms.values
            self._update()

    def _update(self) -> None:
        """Clip the gradients and make the optimizer's step, which changes nothing where they are not finite."""
        self.norm = self.limit_gradients(self.optimizer)
        finite = self.norm.isfinite().float()
        for p in self._learning:
            if p.grad is not None:
                torch.nan_to_num(p.grad, nan=0.0, posinf=0.0, neginf=0.0, out=p.grad)
        self.optimizer.applied = finite
        self.optimizer.step()
        self._bad_steps.add_(1 - finite)
        self._bad_steps[1].mul_(1 - finite)

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Record a step; the weights and all state are then as they were before."""
        state: list[Tensor] = [*self.model.parameters(), *self.model.buffers()]
        state += [t for values in self.optimizer.state.values() for t in values.values()]
        state.append(self._bad_steps)
        before = [t.detach().clone() for t in state]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.step_on_device()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step_on_device()
        with torch.no_grad():
            for tensor, value in zip(state, before, strict=True):
                tensor.copy_(value)
        return graph

    # -- what Lightning calls, and what the step has done -------------------------------------------------------------

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Do nothing."""

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Run the closure, which is the step."""
        if optimizer_closure is not None:
            optimizer_closure()

    def count_skipped(self) -> None:
        """Read how many steps were skipped."""
        skipped, in_a_row = (int(n) for n in self._bad_steps.tolist())
        self.skipped = skipped
        self.check_skipped(in_a_row)
