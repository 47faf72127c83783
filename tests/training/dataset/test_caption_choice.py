"""Which of an image's captions a sample has."""

from __future__ import annotations

import numpy as np

from tacit.training.dataset.caption_choice import draw_caption, possible_captions


def test_captions_drawn_and_joined() -> None:
    captions = ("a boat", "the sea!", " ")
    rng = np.random.default_rng(0)
    assert {draw_caption(captions[:2], rng, False) for _ in range(20)} == {"a boat", "the sea!"}
    assert draw_caption(captions, rng, True) == "a boat. the sea!"
    assert draw_caption((), rng, True) is None
    assert possible_captions([captions[:2], (), ("a boat",)], False) == ["a boat", "the sea!"]
    assert possible_captions([captions[:2], (), ("a boat",)], True) == ["a boat. the sea!", "a boat."]
