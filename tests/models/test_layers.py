"""The layers' own gradients."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tacit.models.layers import GatedBlock, _Glu, compile_blocks, interpolate


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


@pytest.mark.parametrize("shape", [(40,), (3, 4, 5)])
def test_the_gradient_of_a_table_is_that_of_its_interpolated_rows(shape: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    table = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    quality = torch.rand(shape, dtype=torch.float64) * 100
    quality.view(-1)[:4] = torch.tensor([0.0, 25.0, 99.999, 100.0])
    values = interpolate(table, quality)
    position = quality * (4 / 100)
    low = position.floor().clamp(max=3).long()
    part = (position - low)[..., None]
    indexed = (table[low] * (1 - part) + table[low + 1] * part).movedim(-1, 1)
    assert torch.equal(values.reshape(indexed.shape), indexed)
    weights = torch.randn_like(indexed)
    (gradient,) = torch.autograd.grad((values.reshape(indexed.shape) * weights).sum(), table)
    (expected,) = torch.autograd.grad((indexed * weights).sum(), table)
    assert torch.allclose(gradient, expected)


@pytest.mark.slow
def test_compiled_blocks_compute_the_same_and_share_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    compiled = torch.compile(GatedBlock.forward, backend=backend, dynamic=False)
    monkeypatch.setattr("tacit.models.layers._compiled_block", lambda: compiled)
    monkeypatch.setattr("tacit.models.layers._glu", partial(F.glu, dim=1))  # as on a GPU
    torch.manual_seed(4)
    blocks = nn.ModuleList([GatedBlock(6) for _ in range(3)])
    for p in blocks.parameters():
        nn.init.normal_(p, std=0.3)
    x = torch.randn(2, 6, 4, 5)
    expected = [block(x) for block in blocks]
    compile_blocks(blocks)
    for block, value in zip(blocks, expected, strict=True):
        assert torch.allclose(block(x), value, atol=1e-6)
    assert len(graphs) == 1
