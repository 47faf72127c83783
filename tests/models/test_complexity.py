"""What models cost."""

from __future__ import annotations

import pytest

from tacit.models import complexity
from tacit.models.tacit_s_config import TacitSConfig


def test_a_block_more_costs_what_its_layers_multiply() -> None:
    less, more = (complexity.count("tacit-s", TacitSConfig(synthesis16=n).as_dict(), side=128) for n in (3, 4))
    width = TacitSConfig().latent
    # Four 1x1 layers, one of which is twice as wide, and a depthwise 3x3, at each position of 16x16 pixels.
    block = (5 * width**2 + 9 * width) / 256 / 1000
    assert more.synthesis - less.synthesis == pytest.approx(block)
    assert (more.analysis, more.hyper_analysis, more.entropy) == pytest.approx(
        (less.analysis, less.hyper_analysis, less.entropy)
    )


def test_both_sides_run_the_entropy_networks() -> None:
    cost = complexity.Complexity(analysis=30, hyper_analysis=0.5, entropy=5, synthesis=26)
    assert (cost.encoding, cost.decoding, cost.all) == (35.5, 31, 61.5)


def test_the_published_architecture_costs_about_ten_times_as_much() -> None:
    # TACO's authors built on ELIC, whose cost others give as 574 thousand multiplications a pixel.
    assert 560 < complexity.count("taco", {}, side=256).all < 610
