"""Samples of which only the beginning is decoded."""

from __future__ import annotations

import pytest
import torch

from support.tiny_models import TINY, tiny_model
from tacit.text.tokens import TextTokens
from tacit.training.prefixes import random_prefixes


def test_a_share_of_the_images_lacks_the_last_group_or_more() -> None:
    seeds = torch.arange(4000)
    steps = random_prefixes(torch.full((4000,), 50.0), seeds, 5, 0.25)
    in_part = steps[steps < 10]
    assert set(in_part.tolist()) == set(range(1, 9))
    assert abs(len(in_part) / 4000 - 0.25) < 0.03
    assert (random_prefixes(torch.zeros(7, 4, 4), None, 5, 0.0) == 10).all()
    assert torch.equal(steps[5:9], random_prefixes(torch.full((4,), 3.0), seeds[5:9], 5, 0.25))


@pytest.mark.slow
def test_what_is_not_decoded_costs_nothing_and_is_its_mean() -> None:
    model = tiny_model()
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64).expand(4, -1, -1, -1)
    tokens, quality = TextTokens.empty(4, TINY.text_width), torch.full((4,), 90.0)
    seeds = torch.zeros(4, dtype=torch.int64)
    count = 2 * len(TINY.groups)
    whole = model(x, tokens, quality, seeds)
    out = model(x, tokens, quality, seeds, 0.0, torch.tensor([0, 1, 2, count]))
    assert torch.equal(out.x_hat[3], whole.x_hat[3])
    assert torch.equal(out.y_bits[3], whole.y_bits[3])
    assert out.y_bits[0] == 0
    assert 0 < out.y_bits[1] < out.y_bits[2] < out.y_bits[3]
    assert torch.allclose(out.z_bits, whole.z_bits)
    errors = (out.x_hat - x).square().mean(dim=(1, 2, 3)).tolist()
    assert len(set(errors)) == 4
