"""Attention of linear cost: the keys are pooled from n to k slots along the sequence before anything attends to them.

Source: Linformer, arXiv 2006.04768, which multiplies keys and values with a learned matrix [k, n] and so serves one n
alone. Here its entries are a learned function of the relative position of a key, so that it serves every n. It is
shared by keys, values and heads, and acts before their linear layers, which then see k rows instead of n.

A slot is a soft cell of the positions, and every key is shared out over the slots. What is attended to is the mean of a
slot's keys, with the logarithm of what the slot holds added to the logits. So a slot of equal keys counts as these keys
would in full attention, and a sequence of at most k keys, each with a slot of its own, is attended to in full.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KNOTS = 9  # of the learned part of the function, along each axis
SHARPNESS = 4.0  # at first a cell's own slot is exp(4) times as likely at its centre as each of its neighbours
NEVER = -1e3  # as a logarithm: nothing, in any precision, and yet without a NaN where a slot holds no key at all
LEAST = -1e30  # above minus infinity, from which nothing can be subtracted


class WordProjection(nn.Module):
    """Pools words to `slots` slots, by their relative positions among the real ones.

    The first word, which is the null token (or what a published caption starts with), keeps a slot of its own; the
    others share the rest.
    """

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.table = nn.Parameter(torch.zeros(slots - 1, KNOTS))

    def forward(self, words: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Pool the words; they are returned as they are where no caption has more than k words.

        Args:
            words: [B, T, C].
            bias: What is added to their logits [B, T], minus infinity for padding; None for no padding.

        Returns:
            The slots [B, k, C] and what is added to their logits [B, k].
        """
        if _needless(words.shape[1], self.slots):
            return words, bias
        with torch.autocast(words.device.type, enabled=False):
            if bias is None:
                bias = words.new_zeros(words.shape[:2])
            real = bias > -math.inf
            rank = real.cumsum(dim=1) - 1  # [B, T]
            count = rank[:, -1:] + 1
            shares = self._shares((rank - 0.5) / (count - 1).clamp_min(1))
            alone = (rank == 0) | (count <= self.slots)
            shares = torch.where(alone[..., None], _own(rank, self.slots), F.pad(shares, (1, 0), value=NEVER))
            weights, mass = _pooling(shares + bias.float()[..., None])
        return weights.to(words.dtype) @ words, mass

    def _shares(self, position: Tensor) -> Tensor:
        """Return logarithms of the words' shares in the slots [B, T, k - 1], from positions [B, T] in 0..1."""
        count = self.slots - 1
        centres = torch.arange(count, device=position.device) + 0.5
        near = -SHARPNESS * (position[..., None] * count - centres).square()
        return (near + _hats(position) @ self.table.float().T).log_softmax(dim=-1)


class PixelProjection(nn.Module):
    """Pools pixels to `slots` slots, by their relative positions in the image (or tile)."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.table = nn.Parameter(torch.zeros(slots, KNOTS, KNOTS))

    def forward(self, pixels: Tensor, height: int, width: int) -> tuple[Tensor, Tensor | None]:
        """Pool the pixels; they are returned as they are, without a bias, where there are at most k.

        Args:
            pixels: [B, H * W, C].
            height: H.
            width: W.

        Returns:
            The slots [B, k, C] and what is added to their logits [1, k].
        """
        count = height * width
        if _needless(count, self.slots):
            return pixels, None
        with torch.autocast(pixels.device.type, enabled=False):
            shares = self._shares(height, width)
            if count <= self.slots:
                rank = torch.arange(count, device=pixels.device)
                shares = torch.where(rank[:, None] < self.slots, _own(rank, self.slots), shares)
            weights, mass = _pooling(shares[None])
        return weights.to(pixels.dtype) @ pixels, mass

    def _shares(self, height: int, width: int) -> Tensor:
        """Return logarithms of the pixels' shares in the slots [H * W, k]."""
        y, x = ((torch.arange(n, device=self.table.device) + 0.5) / n for n in (height, width))
        centres = cells(self.slots).to(self.table.device)
        near_y, near_x = (
            -SHARPNESS * self.slots * (p[:, None] - c).square() for p, c in ((y, centres[:, 0]), (x, centres[:, 1]))
        )
        learned = torch.einsum("yi,kij->ykj", _hats(y), self.table.float())
        learned = torch.einsum("ykj,xj->yxk", learned, _hats(x))
        return (near_y[:, None] + near_x + learned).flatten(0, 1).log_softmax(dim=-1)


def cells(count: int) -> Tensor:
    """Return the centres (y, x) of cells of nearly equal area in the unit square [count, 2].

    The cells are in rows, each with nearly as many as the others.
    """
    rows = round(math.sqrt(count))
    centres = []
    for row in range(rows):
        columns = (row + 1) * count // rows - row * count // rows
        centres += [((row + 0.5) / rows, (column + 0.5) / columns) for column in range(columns)]
    return torch.tensor(centres)


def _needless(count: int, slots: int) -> bool:
    """Return whether the keys are so few that they can be attended to as they are.

    With gradients they get slots all the same, to the same effect: processes that train together need a gradient for
    every parameter, if only of zeros.
    """
    return count <= slots and not torch.is_grad_enabled()


def _own(rank: Tensor, slots: int) -> Tensor:
    """Return logarithms of shares that give every key the slot of its rank, [..., slots]."""
    return torch.where(rank[..., None] == torch.arange(slots, device=rank.device), 0.0, NEVER)


def _pooling(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return the matrix that averages the keys of each slot, and the logarithm of what each slot holds.

    The logarithm is known up to a constant, which attention does not see, so that it is precise in half precision too.
    Where all is padding, the averages are zeros.

    Args:
        shares: Logarithms of the keys' shares [B, n, k].

    Returns:
        The matrix [B, k, n] and the logarithms [B, k], which are added to the logits.
    """
    held = shares.logsumexp(dim=1).clamp_min(LEAST)
    return (shares - held[:, None]).exp().transpose(1, 2), held - held.amax(dim=1, keepdim=True).detach()


def _hats(position: Tensor) -> Tensor:
    """Return the weights with which the knots' values are interpolated at positions in 0..1: [..., KNOTS]."""
    knots = torch.arange(KNOTS, device=position.device)
    return (1 - (position[..., None] * (KNOTS - 1) - knots).abs()).clamp_min(0)
