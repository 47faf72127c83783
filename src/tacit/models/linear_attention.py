"""Attention of linear cost: the keys are pooled from n to k slots along the sequence before anything attends to them.

Source: Linformer, arXiv 2006.04768, which multiplies keys and values with a learned matrix [k, n] and so serves one n
alone. Here its entries are a learned function of the relative position of a key, so that it serves every n. It is
shared by keys, values and heads, and acts before their linear layers, which then see k rows instead of n.

A slot is a soft cell of the positions, and every key is shared out over the slots. What is attended to is the mean of
a slot's keys, with the logarithm of what the slot holds added to the logits. So a slot of equal keys counts as these
keys would in full attention, and a sequence of at most k keys, each with a slot of its own, is attended to in full.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KNOTS = 9  # per axis, of the learned part of the function
SHARPNESS = 4.0  # at first a cell's own slot is exp(4) times as likely at its centre as each of its neighbours
NEVER = -1e3  # as a logarithm: nothing, in any precision, and yet without a NaN where a slot holds no key at all
LEAST = -1e30  # above minus infinity, from which nothing can be subtracted


def slots_of(attention: str, linear_length: int) -> int:
    """A configuration's attention ("full" or "linear") and length k -> k, or 0 for full attention. Raises:
    ValueError."""
    if attention not in ("full", "linear"):
        raise ValueError(f"attention {attention!r}: full and linear are possible")
    if not isinstance(linear_length, int) or linear_length < 2:
        raise ValueError(f"linear_length {linear_length!r}: a whole number of at least 2 is needed")
    return linear_length if attention == "linear" else 0


class WordProjection(nn.Module):
    """Words to `slots` slots, by their relative positions among the real ones.

    The first word, which is the null token (or what a published caption starts with), keeps a slot of its own; the
    others share the rest. words: [B, T, C]; bias: of their logits [B, T], minus infinity for padding, None for no
    padding. Returns [B, k, C] and [B, k], or what it was given where no caption has more than k words.
    """

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.table = nn.Parameter(torch.zeros(slots - 1, KNOTS))

    def forward(self, words: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
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
        """position: [B, T], from 0 to 1 -> logarithms of the words' shares in the slots [B, T, k - 1]."""
        count = self.slots - 1
        centres = torch.arange(count, device=position.device) + 0.5
        near = -SHARPNESS * (position[..., None] * count - centres).square()
        return (near + _hats(position) @ self.table.float().T).log_softmax(dim=-1)


class PixelProjection(nn.Module):
    """Pixels to `slots` slots, by their relative positions in the picture (or tile).

    pixels: [B, H * W, C]. Returns [B, k, C] and the bias of their logits [1, k], or what it was given, without a bias,
    where the picture has at most k pixels.
    """

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.table = nn.Parameter(torch.zeros(slots, KNOTS, KNOTS))

    def forward(self, pixels: Tensor, height: int, width: int) -> tuple[Tensor, Tensor | None]:
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
        """Logarithms of the pixels' shares in the slots [H * W, k]."""
        y, x = ((torch.arange(n, device=self.table.device) + 0.5) / n for n in (height, width))
        centres = cells(self.slots).to(self.table.device)
        near_y, near_x = (
            -SHARPNESS * self.slots * (p[:, None] - c).square() for p, c in ((y, centres[:, 0]), (x, centres[:, 1]))
        )
        learned = torch.einsum("yi,kij->ykj", _hats(y), self.table.float())
        learned = torch.einsum("ykj,xj->yxk", learned, _hats(x))
        return (near_y[:, None] + near_x + learned).flatten(0, 1).log_softmax(dim=-1)


def cells(count: int) -> Tensor:
    """Centres (y, x) of so many cells of nearly equal area in the unit square [count, 2]: rows of nearly as many
    cells each."""
    rows = round(math.sqrt(count))
    centres = []
    for row in range(rows):
        columns = (row + 1) * count // rows - row * count // rows
        centres += [((row + 0.5) / rows, (column + 0.5) / columns) for column in range(columns)]
    return torch.tensor(centres)


def _needless(count: int, slots: int) -> bool:
    """Whether as few keys can be attended to as they are. With gradients they get slots all the same, to the same
    effect: processes that train together need a gradient for every parameter, if only of zeros."""
    return count <= slots and not torch.is_grad_enabled()


def _own(rank: Tensor, slots: int) -> Tensor:
    """Logarithms of shares that give every key the slot of its rank, [..., slots]."""
    return torch.where(rank[..., None] == torch.arange(slots, device=rank.device), 0.0, NEVER)


def _pooling(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the keys' shares [B, n, k] -> the matrix [B, k, n] that averages the keys, and the logarithm of
    what each slot holds [B, k], as a bias: up to a constant, which attention does not see, so that it is precise in
    half precision too. Where all is padding, the averages are zeros."""
    held = shares.logsumexp(dim=1).clamp_min(LEAST)
    return (shares - held[:, None]).exp().transpose(1, 2), held - held.amax(dim=1, keepdim=True).detach()


def _hats(position: Tensor) -> Tensor:
    """position: [...], from 0 to 1 -> the weights with which the knots' values are interpolated there [..., KNOTS]."""
    knots = torch.arange(KNOTS, device=position.device)
    return (1 - (position[..., None] * (KNOTS - 1) - knots).abs()).clamp_min(0)
