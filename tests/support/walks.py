"""Walks through the coding order, recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from tacit import weights
from tacit.codec import Codec
from tacit.exact.arithmetic import DOUBLE, exact_arithmetic
from tacit.models.coding import CodingModel
from tacit.models.coding_order import Step, walk
from tacit.models.frozen import FrozenEntropy


@lru_cache
def _loaded(path: Path) -> CodingModel:
    return weights.load(path)


def coding_of(codec: Codec) -> CodingModel:
    """The codec's model on torch, on whichever engine it runs itself."""
    return _loaded(codec.path)


def entropy_of(codec: Codec) -> FrozenEntropy:
    return coding_of(codec).entropy


def record(nets: Any, hyper: Tensor, values: Callable[[int, Step, Tensor], Tensor]) -> tuple[list[Step], list[Tensor]]:
    """Walk with values(number of the step, step, parameters); the steps and their parameters."""
    steps: list[Step] = []
    seen: list[Tensor] = []

    def visit(step: Step, parameters: Tensor) -> Tensor:
        steps.append(step)
        seen.append(parameters.clone())
        return values(len(steps) - 1, step, parameters)

    with exact_arithmetic(hyper.device, DOUBLE):
        walk(nets, hyper, visit)
    return steps, seen
