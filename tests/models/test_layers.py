"""The layers' own gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tacit.models.layers import GatedBlock, _Glu


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_block_has_the_gradient_of_what_it_computes(layout: torch.memory_format) -> None:
    torch.manual_seed(2)
    block = GatedBlock(6).double()
    for p in block.parameters():
        nn.init.normal_(p, std=0.3)
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(block, x)
    gated = block.gate_in(x)
    layouts: list[tuple[int, ...]] = []
    gated.register_hook(lambda grad: layouts.append(grad.stride()))
    _Glu.apply(gated).sum().backward()  # type: ignore[no-untyped-call]
    assert layouts == [gated.stride()]
