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

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of the polynomial that brings singular values close to 1
_STEPS = 5
_SCALE = 0.2  # root mean square of a step, as Adam's is in the middle of a run: one learning rate serves both
_LEAST = 16  # of a matrix' sides


def matrices(model: nn.Module) -> list[Tensor]:
    """The weights of linear layers and 1x1 convolutions between 16 or more channels."""
    return [
        layer.weight
        for layer in model.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
        and math.prod(layer.weight.shape[2:]) == 1
        and min(layer.weight.shape[:2]) >= _LEAST
    ]


class Muon(torch.optim.Optimizer):
    """params: groups as torch's optimizers take them; those with `orthogonal` hold matrices, the others take Adam's
    step. momentum: of the matrices' gradients (Nesterov's); betas, eps: Adam's.
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
        """One step; parameters without a gradient stay."""
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
        direction = orthogonalised(grad.lerp(state["momentum"], group["momentum"]).flatten(1))
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


def orthogonalised(matrix: Tensor) -> Tensor:
    """About the nearest matrix [n, m] whose singular values are all 1 (here 0.7 to 1.2).

    By Newton and Schulz' iteration. In bf16, as its source has it: that errs less than the polynomial, in
    a third of the time.
    """
    a, b, c = _NEWTON_SCHULZ
    x: Tensor = (matrix / (matrix.norm() + 1e-7)).bfloat16()
    tall = bool(x.shape[0] > x.shape[1])
    if tall:
        x = x.T
    for _ in range(_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    if tall:
        x = x.T
    return x.to(matrix.dtype)
