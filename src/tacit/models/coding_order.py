"""The coding order of the latents: hyperprior, channel groups, checkerboard.

It stands here once; training, freezing, encoding and decoding walk it with networks of their own.

    z ──► hyper-synthesis ──► H ─────────────┬──────────────┬───────────────
                                             ▼              ▼
    group 0   anchors        parameters_a(H) ─► y            │
              the others     parameters_b(local(y anchors), H) ─► y
    group g   anchors        parameters_a(channel(y groups < g), H) ─► y
              the others     parameters_b(local(y anchors), channel(y groups < g), H) ─► y

Anchors are the positions where row + column is odd. The networks are passed in: float modules while training, frozen
integer networks while coding; both take and return the same shapes. Source: ELIC, CVPR 2022, sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tacit.models.attention import to_rows

Net = Callable[[Tensor], Tensor]


class EntropyNets(Protocol):
    """The networks that the coding order asks for.

    Contexts take and return planes, [B, C, h, w] -> [B, C', h, w]. Parameter networks take and return rows, [B, P, C]
    -> [B, P, 2 c]: the scales of a group's c channels, then the means.
    """

    @property
    def groups(self) -> Sequence[int]:
        """Channels of y in each group."""

    @property
    def channel_context(self) -> Sequence[Net]:
        """What a group sees of the groups before it; entry g - 1 is that of group g."""

    @property
    def local_context(self) -> Sequence[Net]:
        """What a group's other positions see of its anchors."""

    @property
    def parameters_anchor(self) -> Sequence[Net]:
        """The parameters of each group's anchors."""

    @property
    def parameters_other(self) -> Sequence[Net]:
        """The parameters of each group's other positions."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the coding order: some channels of y at some positions."""

    group: int  # the number of the channel group, from 0
    start: int  # the first channel
    stop: int  # the channel after the last
    anchor: bool  # whether these are the anchors, which are coded first
    positions: Tensor  # row-major indices into height * width [P]

    @property
    def number(self) -> int:
        """The number of the step in the coding order, from 0."""
        return 2 * self.group + (not self.anchor)


def checkerboard(height: int, width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Return the positions of the anchors and those of the others, as row-major indices into height * width.

    How many there are follows from the size, not from any value, so that the walk can be compiled.
    """
    if width % 2:  # a row's end and the next one's beginning are of different colours
        every = torch.arange(height * width, device=device)
        return every[1::2], every[::2]
    pairs = torch.arange(height * width // 2, device=device)
    shifted = pairs // (width // 2) % 2  # in every other row the anchor is the first of two neighbours
    return 2 * pairs + 1 - shifted, 2 * pairs + shifted


def walk(nets: EntropyNets, hyper: Tensor, visit: Callable[[Step, Tensor], Tensor]) -> Tensor:
    """Visit every step in coding order, and assemble what the visits return.

    Args:
        nets: The networks.
        hyper: The output of the hyper-synthesis [B, H, h, w].
        visit: Called with each step and its parameters [B, P, 2 c]; returns the decoded values [B, P, c], which the
            networks of the later steps see.

    Returns:
        y [B, M, h, w].
    """
    batch, _, height, width = hyper.shape
    anchors, others = checkerboard(height, width, hyper.device)
    hyper_rows = to_rows(hyper)
    hyper_parts = {True: hyper_rows.index_select(1, anchors), False: hyper_rows.index_select(1, others)}
    done: list[Tensor] = []  # decoded groups, each [B, h * w, c]
    start = 0

    def planes(rows: Tensor) -> Tensor:  # [B, h * w, C] -> [B, C, h, w], channels last in memory
        return rows.unflatten(1, (height, width)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]

    for group, channels in enumerate(nets.groups):
        stop = start + channels
        context: list[Tensor] = []  # of all positions; H comes last
        if group:
            context.append(to_rows(nets.channel_context[group - 1](planes(torch.cat(done, dim=-1)))))

        features = torch.cat([*(c.index_select(1, anchors) for c in context), hyper_parts[True]], dim=-1)
        step = Step(group=group, start=start, stop=stop, anchor=True, positions=anchors)
        values = visit(step, nets.parameters_anchor[group](features))
        decoded = values.new_zeros(batch, height * width, channels).index_copy(1, anchors, values)

        context.insert(0, to_rows(nets.local_context[group](planes(decoded))))
        features = torch.cat([*(c.index_select(1, others) for c in context), hyper_parts[False]], dim=-1)
        step = Step(group=group, start=start, stop=stop, anchor=False, positions=others)
        values = visit(step, nets.parameters_other[group](features))
        done.append(decoded.index_copy(1, others, values))
        start = stop
    return planes(torch.cat(done, dim=-1))
