"""Muon for weights that are matrices, Adam for all others.

A step along the nearest orthogonal matrix moves all directions of a 1x1 convolution or a linear layer alike, where
Adam's follows the few that the data make large. Source: Jordan et al., Muon (2024), with the scale of Liu et al.,
2502.16982. torch.optim.Muon takes two-dimensional tensors only, and a convolution's weight has four dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the polynomial that brings singular values close to 1
_ITERATIONS = 5
_SCALE = 0.2  # root mean square of a step, as Adam's is in the middle of a run: one learning rate serves both
_SMALLEST = 16  # channels; smaller matrices take Adam's step


def matrices(model: nn.Module) -> list[Tensor]:
    """Return the weights of linear layers and 1x1 convolutions between 16 or more channels."""
    return [
        layer.weight
        for layer in model.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
        and math.prod(layer.weight.shape[2:]) == 1
        and min(layer.weight.shape[:2]) >= _SMALLEST
    ]


class Muon(torch.optim.Optimizer):
    """Muon for groups of matrices, Adam for other groups.

    Args:
        params: Groups as torch's optimizers take them; those with `orthogonal` hold matrices, which take Muon's step.
        lr: The learning rate.
        betas: Adam's decay rates.
        momentum: Nesterov momentum of the matrices' gradients.
        eps: What Adam adds to the root of the squares.
    """

    def __init__(
        self,
        params: Sequence[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.95,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "momentum": momentum, "eps": eps, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one step; parameters without a gradient stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._orthogonal if group["orthogonal"] else self._adam
            for p in group["params"]:
                if p.grad is not None:
                    update(p, p.grad, self.state[p], group)
        return loss

    @staticmethod
    def _orthogonal(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(grad, 1 - group["momentum"])
        direction = orthogonalize(grad.lerp(state["momentum"], group["momentum"]).flatten(1))
        p.add_(direction.view_as(p), alpha=-group["lr"] * _SCALE * math.sqrt(max(direction.shape)))

    @staticmethod
    def _adam(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        first, second = group["betas"]
        step = float(state["step"])
        state["exp_avg"].lerp_(grad, 1 - first)
        state["exp_avg_sq"].lerp_(grad.square(), 1 - second)
        spread = (state["exp_avg_sq"] / (1 - second**step)).sqrt_().add_(group["eps"])
        p.addcdiv_(state["exp_avg"], spread, value=-group["lr"] / (1 - first**step))


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix [n, m] whose singular values are all 1 (they are 0.7 to 1.2).

    This is the iteration of Newton and Schulz. It runs in bf16, as in its source: the rounding errs less than the
    polynomial does, and takes a third of the time.
    """
    a, b, c = _NEWTON_SCHULZ
    x: Tensor = (matrix / (matrix.norm() + 1e-7)).bfloat16()
    tall = bool(x.shape[0] > x.shape[1])
    if tall:
        x = x.T
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    if tall:
        x = x.T
    return x.to(matrix.dtype)
