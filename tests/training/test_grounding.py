"""The network that finds a caption's words in an image, in torch."""

from __future__ import annotations

import pytest
import torch

from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders import load_encoder
from tacit.text.tokens import TextTokens
from tacit.training.grounding import Grounding


@pytest.fixture(scope="module")
def words() -> CaptionTokens:
    return load_encoder("embedded")(["a red boat on the lake"])


def test_padding_and_the_order_of_words_change_nothing(words: CaptionTokens) -> None:
    torch.manual_seed(0)
    network = Grounding().eval()
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        own = TextTokens.of(words)
        alone = network(x, own)
        both = CaptionTokens.stack([words, load_encoder("embedded")(["a much longer caption " * 3])])
        padded = TextTokens.of(both)
        first = TextTokens(padded.embeddings[:1], padded.mask[:1], padded.weights[:1])
        assert torch.allclose(alone, network(x, first), atol=1e-5)
        turned = TextTokens(own.embeddings.flip(1), own.mask.flip(1), own.weights.flip(1))
        assert torch.allclose(alone, network(x, turned), atol=1e-5)


def test_a_words_weight_counts(words: CaptionTokens) -> None:
    torch.manual_seed(0)
    network = Grounding().eval()
    own = TextTokens.of(words)
    weights = own.weights.clone()
    weights[0, 2] = 1.5
    with torch.no_grad():
        _, plain = network.words(own)
        _, weighted = network.words(TextTokens(own.embeddings, own.mask, weights))
    ratio = weighted / plain
    assert ratio[0, 2] / ratio[0, 0] == pytest.approx(1.5, rel=1e-4)
    assert weighted.sum() == pytest.approx(1, rel=1e-5)
