"""The learning rate over a run."""

from __future__ import annotations

import math

from tacit.training.config import ScheduleConfig

LOWEST = 0.01  # the factor at the end of a cosine


def learning_rate_factor(config: ScheduleConfig, step: int, done: float, epoch: float) -> float:
    """Return what the learning rate is multiplied with.

    Args:
        config: The schedule.
        step: Optimizer steps before this one.
        done: The share of the run that is behind it, 0 to 1.
        epoch: Epochs that are behind the run.
    """
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.kind == "multistep":
        return warm * config.factor ** sum(1 for m in config.milestones if epoch >= m)
    if config.decay and done > 1 - config.decay:
        left = max(0.0, 1 - done) / config.decay
        return warm * max(0.5 * (1 - math.cos(math.pi * left)), LOWEST)
    return warm
