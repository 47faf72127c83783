"""Fixed-point formats: what the integers between frozen layers stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class IntegerFormat:
    """What a network's integers stand for, channel by channel: integer = value * per_one."""

    per_one: Tensor
    """Integers per one [C], float64."""
    low: Tensor
    """The lowest integer [C], float64."""
    high: Tensor
    """The highest integer [C], float64."""

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The lowest and the highest integers."""
        return self.low, self.high

    @staticmethod
    def symmetric(per_one: Tensor, limit: Tensor) -> IntegerFormat:
        """Return the format of integers from -limit to limit, both [C]."""
        return IntegerFormat(per_one.double(), -limit.double(), limit.double())

    @staticmethod
    def uniform(channels: int, per_one: float, limit: int) -> IntegerFormat:
        """Return a format that is the same for every channel, of integers from -limit to limit."""
        ones = torch.ones(channels, dtype=torch.float64)
        return IntegerFormat.symmetric(per_one * ones, limit * ones)

    @staticmethod
    def cat(parts: Sequence[IntegerFormat]) -> IntegerFormat:
        """Return the format of concatenated channels."""
        return IntegerFormat(*(torch.cat([getattr(p, name) for p in parts]) for name in ("per_one", "low", "high")))

    def part(self, start: int, stop: int, step: int = 1) -> IntegerFormat:
        """Return the format of the channels start..stop, or of every step-th of them."""
        chosen = slice(start, stop, step)
        return IntegerFormat(self.per_one[chosen], self.low[chosen], self.high[chosen])


@dataclass(frozen=True)
class OutputFormat:
    """What a network's last layer gives: the integers value * per_one + offset, clamped to low..high."""

    per_one: Tensor
    """Integers per one [C], float64."""
    offset: Tensor
    """What is added [C], float64."""
    low: Tensor
    """The lowest integer [C], float64."""
    high: Tensor
    """The highest integer [C], float64."""
