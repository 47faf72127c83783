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
    limit: Tensor
    """The largest absolute integer [C], float64."""

    @staticmethod
    def uniform(channels: int, per_one: float, limit: int) -> IntegerFormat:
        """Return a format that is the same for every channel."""
        return IntegerFormat(
            torch.full((channels,), per_one, dtype=torch.float64), torch.full((channels,), limit, dtype=torch.float64)
        )

    @staticmethod
    def cat(parts: Sequence[IntegerFormat]) -> IntegerFormat:
        """Return the format of concatenated channels."""
        return IntegerFormat(torch.cat([p.per_one for p in parts]), torch.cat([p.limit for p in parts]))

    def part(self, start: int, stop: int) -> IntegerFormat:
        """Return the format of the channels start..stop."""
        return IntegerFormat(self.per_one[start:stop], self.limit[start:stop])


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
