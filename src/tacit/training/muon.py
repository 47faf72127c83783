"""Muon for weights that are matrices, Adam for all others.

A step along the nearest orthogonal matrix moves all directions of a 1x1 convolution or a linear layer alike, where
Adam's follows the few that the data make large. Source: Jordan et al., Muon (2024), with the scale of Liu et al.,
2502.16982. torch.optim.Muon takes two-dimensional tensors only, and a convolution's weight has four dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tacit.models.precision import has_fast_bf16

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


def complete_groups(state: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Add to an optimizer's state what another class of optimizer does not keep, so that either's state fits both."""
    for group in state.get("param_groups", ()):
        group["lr"] = float(group["lr"])  # a captured step keeps it on the device
        for name, value in defaults.items():
            group.setdefault(name, value)


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
        self.applied: Tensor | None = None
        """1 to make steps and 0 to leave everything as it is, on the device; None to make them."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state, also that of torch's Adam."""
        complete_groups(state, self.defaults)
        super().__setstate__(state)

    def prepare(self, device: torch.device) -> None:
        """Make all of the state, and the learning rates, tensors on a device, as a captured step needs them."""
        for group in self.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=device)
            for p in group["params"]:
                if p.requires_grad:
                    self._begin(p, orthogonal=group["orthogonal"])
                    if "step" in self.state[p]:
                        self.state[p]["step"] = self.state[p]["step"].to(device)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one step; parameters without a gradient stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                self._begin(p, orthogonal=group["orthogonal"])
            if params:
                (self._orthogonal if group["orthogonal"] else self._adam)(params, group)
        return loss

    def _begin(self, p: Tensor, *, orthogonal: bool) -> None:
        """Make the state of a parameter that has none."""
        state = self.state[p]
        if not state and orthogonal:
            state["momentum"] = torch.zeros_like(p)
        elif not state:
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))

    def _orthogonal(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """Make Muon's step, for all matrices of a shape together."""
        shapes: dict[tuple[int, ...], list[Tensor]] = {}
        for p in params:
            shapes.setdefault(tuple(p.flatten(1).shape), []).append(p)
        for shape, several in shapes.items():
            grads = [_gradient(p) for p in several]
            momenta = [self.state[p]["momentum"] for p in several]
            self._move(momenta, grads, 1 - group["momentum"])
            directions = torch._foreach_lerp(grads, momenta, group["momentum"])  # noqa: SLF001
            steps = orthogonalize(torch.stack([d.flatten(1) for d in directions]))
            steps = steps * self._size(-group["lr"] * _SCALE * math.sqrt(max(shape)))
            torch._foreach_add_(several, [s.view(p.shape) for s, p in zip(steps, several, strict=True)])

    def _adam(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """Make Adam's step; the parameters of a group have made the same number of steps."""
        grads = [_gradient(p) for p in params]
        steps, means, squares = ([self.state[p][name] for p in params] for name in ("step", "exp_avg", "exp_avg_sq"))
        if self.applied is None:
            torch._foreach_add_(steps, 1.0)
        else:  # a list: one tensor without dimensions would be taken for a number, and a captured step can't read it
            torch._foreach_add_(steps, [self.applied] * len(steps))
        first, second = group["betas"]
        self._move(means, grads, 1 - first)
        self._move(squares, torch._foreach_mul(grads, grads), 1 - second)  # noqa: SLF001
        spread = torch._foreach_div(squares, self._number(1 - second ** steps[0]))  # noqa: SLF001
        torch._foreach_sqrt_(spread)
        torch._foreach_add_(spread, group["eps"])
        updates = torch._foreach_div(means, spread)  # noqa: SLF001
        torch._foreach_mul_(updates, self._size(-group["lr"] / self._number(1 - first ** steps[0])))
        torch._foreach_add_(params, updates)

    def _move(self, targets: list[Tensor], values: list[Tensor] | tuple[Tensor, ...], share: float) -> None:
        """Move tensors towards values by a share of the way."""
        distances = torch._foreach_sub(values, targets)  # noqa: SLF001
        torch._foreach_mul_(distances, self._size(share))
        torch._foreach_add_(targets, distances)

    def _size(self, size: Any) -> Any:
        """Return the size of a change, which is 0 where the step is not made."""
        return size if self.applied is None else size * self.applied

    @staticmethod
    def _number(value: Tensor) -> Any:
        """Return a tensor on a CPU as a number, which is faster there; one on another device stays there."""
        return value.clamp_min(1e-30) if value.device.type != "cpu" else max(float(value), 1e-30)


def _gradient(p: Tensor) -> Tensor:
    assert p.grad is not None
    return p.grad


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return about the nearest matrices [..., n, m] whose singular values are all 1 (they are 0.7 to 1.2).

    This is the iteration of Newton and Schulz. It runs in bf16, as in its source, where the device has bf16: the
    rounding errs less than the polynomial does, and takes a third of the time. Elsewhere it runs in the matrix's type.
    """
    a, b, c = _NEWTON_SCHULZ
    x: Tensor = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    if has_fast_bf16(matrix.device):
        x = x.bfloat16()
    tall = bool(x.shape[-2] > x.shape[-1])
    if tall:
        x = x.mT
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    if tall:
        x = x.mT
    return x.to(matrix.dtype)
