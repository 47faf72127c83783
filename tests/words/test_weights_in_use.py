"""Weights of words where they act: in attention, in files, in evaluation and in training."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

from tacit.codec import Codec
from tacit.errors import CorruptWeights, InvalidInput
from tacit.evaluation.codecs import find_codec
from tacit.models.attention import CrossAttention, Extractor, Injector, key_bias
from tacit.text.encoders import EmbeddedEncoder
from tacit.text.tokens import TextTokens
from tacit.training.config import read
from tacit.training.dataset.token_cache import TokenCache
from tacit.words import Weigher, weighted
from tacit.words.token_weights import with_weights

CAPTION = "a spaniel at the Eiffel Tower"


@pytest.fixture(autouse=True)
def _by_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_NAMES", "rules")
    monkeypatch.delenv("TACIT_WORD_TABLE", raising=False)


@pytest.fixture(scope="module")
def weigher() -> Weigher:
    return Weigher("rules")


@pytest.fixture(scope="module")
def embedded() -> EmbeddedEncoder:
    return EmbeddedEncoder()


def attended(attention: CrossAttention, queries: torch.Tensor, keys: torch.Tensor, weights: torch.Tensor) -> Any:
    tokens = TextTokens(keys, torch.ones(keys.shape[:2], dtype=torch.bool), weights)
    return attention(queries, keys, key_bias(tokens))


def test_a_weight_multiplies_a_words_share_of_the_attention() -> None:
    """By the definition: softmax(logits) times w, normalised again."""
    torch.manual_seed(0)
    attention = CrossAttention(8, 1).double()
    queries, keys = torch.randn(1, 5, 8).double(), torch.randn(1, 4, 8).double()
    weights = torch.tensor([[1.0, 1.5, 1.0, 1.2]]).double()
    q, k, v = (x @ attention.in_proj.weight[i * 8 : i * 8 + 8].T + attention.in_proj.bias[i * 8 : i * 8 + 8]
               for i, x in enumerate((queries, keys, keys)))  # fmt: skip
    shares = (q @ k.transpose(1, 2) / math.sqrt(8)).softmax(-1)
    expected = shares * weights
    expected = attention.out_proj(expected / expected.sum(-1, keepdim=True) @ v)
    assert torch.allclose(attended(attention, queries, keys, weights), expected, atol=1e-12)


def test_a_word_of_weight_two_is_that_word_twice() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(8, 2)
    queries, keys = torch.randn(1, 5, 8), torch.randn(1, 3, 8)
    twice = torch.cat([keys, keys[:, 1:2]], dim=1)
    once = attended(attention, queries, keys, torch.tensor([[1.0, 2.0, 1.0]]))
    assert torch.allclose(once, attended(attention, queries, twice, torch.ones(1, 4)), atol=1e-6)
    assert not torch.allclose(once, attended(attention, queries, keys, torch.ones(1, 3)), atol=1e-3)


def test_a_factor_before_the_norm_would_vanish_in_it_where_a_weight_does_not(
    embedded: EmbeddedEncoder, weigher: Weigher
) -> None:
    torch.manual_seed(0)
    extractor, injector = Extractor(16, 256, 4), Injector(16, 256, 4)
    injector.gamma.data.fill_(1.0)
    plain = TextTokens.of(embedded([CAPTION]))
    tokens = TextTokens.of(weighted(embedded, CAPTION, weigher))
    with torch.no_grad():
        factor = plain.embeddings * tokens.weights[..., None]
        normed, scaled = extractor.text_norm(plain.embeddings), extractor.text_norm(factor)
        assert (normed - scaled).abs().max() < 1e-4
        x = torch.randn(1, 16, 4, 4)
        without, weighed = injector(x, plain), injector(x, tokens)
        assert (without - weighed).abs().max() > 1e-3
        # And towards the words that weigh more: as if the others were fewer.
        heavy = tokens.weights[0] > 1.2
        only = TextTokens(plain.embeddings[:, heavy], plain.mask[:, heavy], plain.weights[:, heavy])
        towards = injector(x, only) - without
        assert cosine_similarity((weighed - without).flatten(), towards.flatten(), dim=0) > 0.8
        # The Extractor passes the weights on to the next Injector.
        assert torch.equal(extractor(x, tokens).weights, tokens.weights)


def test_a_codec_with_word_weights(
    codec: Codec, tiny_weights: Path, weigher: Weigher, picture: Callable[..., Image.Image]
) -> None:
    image = picture(96, 64)
    weighing = Codec(tiny_weights, precision="fp32", word_weights=True)
    made = weighing.encode(image, CAPTION, 60)
    assert made != codec.encode(image, CAPTION, 60)
    assert made == Codec(tiny_weights, precision="fp32", word_weights=weigher).encode(image, CAPTION, 60)
    assert weighing.encode_batch([image], [CAPTION], 60) == [made]
    for neutral in (None, "a of the"):
        assert weighing.encode(image, neutral, 60) == codec.encode(image, neutral, 60)
    assert codec.decode(made).size == image.size  # the decoder knows nothing of it


def test_the_published_network_takes_no_weights_of_words(tmp_path: Path, picture: Callable[..., Image.Image]) -> None:
    import dataclasses

    from support.tiny_models import TINY_TACO_FIXED, tiny_taco, write_weights

    config = dataclasses.replace(TINY_TACO_FIXED, published=True)
    path = write_weights(tmp_path / "published.safetensors", tiny_taco(config))
    with pytest.raises(InvalidInput, match="no word weights"):
        Codec(path, word_weights=True).encode(picture(64, 64), CAPTION)
    with pytest.raises(InvalidInput, match="word_weights"):
        read("taco-published", ["data.word_weights=true"])


def test_eval_codecs_weighted(tiny_weights: Path, tmp_path: Path) -> None:
    found = {}
    for suffix in ("+captions", "+captions+weighted", "+weighted", "+swapped+weighted"):
        made = find_codec(f"{tiny_weights}{suffix}", precision="fp32")
        assert made.name == f"{tiny_weights.stem}{suffix}"
        assert made.captions == ("swapped" if "swapped" in suffix else "own")
        assert ("word_weights" in made.settings()) == ("weighted" in suffix)
        pixels = torch.arange(64 * 64 * 3).reshape(64, 64, 3).remainder(251).byte().numpy()
        made.encode(pixels, CAPTION, 50, tmp_path / "file", 1)
        found[suffix] = (tmp_path / "file").read_bytes()
    assert found["+captions"] != found["+captions+weighted"] == found["+weighted"]


def test_captions_are_weighed_once_and_kept(
    tmp_path: Path, embedded: EmbeddedEncoder, weigher: Weigher, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = [CAPTION, "two dogs in Oslo"]
    assert TokenCache("embedded", 256, tmp_path).write(captions) == 2  # as runs without weights left it
    assert (TokenCache("embedded", 256, tmp_path)(captions).weights == 1).all()
    cache = TokenCache("embedded", 256, tmp_path, weighted=True)
    expected = torch.from_numpy(with_weights(embedded(captions), embedded, captions, weigher).weights)
    assert torch.allclose(cache(captions).weights, expected)  # weighed where they are needed
    before = {p.name for p in tmp_path.iterdir()}
    assert cache.write(captions) == 0
    assert {p.name for p in tmp_path.iterdir()} - before == {"weights-0000.safetensors"}
    assert cache.write([*captions, "a third, of a heron"]) == 1
    assert (tmp_path / "weights-0001.safetensors").is_file()

    def refuse(*_: object) -> None:
        raise AssertionError("what is kept needs no weigher")

    monkeypatch.setattr(Weigher, "__init__", refuse)
    kept = TokenCache("embedded", 256, tmp_path, weighted=True)([*captions, "a third, of a heron", None])
    assert torch.allclose(kept.weights[:2, : expected.shape[1]], expected, atol=1e-3)  # in half precision
    assert kept.weights[2].max() > 1.4
    assert (kept.weights[3] == 1).all()
    assert (TokenCache("embedded", 256, tmp_path)(captions).weights == 1).all()


def test_captions_weighed_by_another_table_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TokenCache("embedded", 256, tmp_path, weighted=True).write([CAPTION])
    monkeypatch.setattr(Weigher, "settings", {"table": "other", "names": "rules"})
    with pytest.raises(InvalidInput, match="weighed by table"):
        TokenCache("embedded", 256, tmp_path, weighted=True)(["something new"])
    (tmp_path / "captions-0000.safetensors").unlink()
    with pytest.raises(CorruptWeights, match="tokens of clip, got those of embedded"):
        TokenCache("clip", 256, tmp_path, weighted=True).write([CAPTION])
    (tmp_path / "weights-0000.safetensors").write_bytes(b"no")
    with pytest.raises(CorruptWeights, match="weights-0000"):
        TokenCache("embedded", 256, tmp_path, weighted=True)([CAPTION])


def test_training_reads_the_option() -> None:
    assert read("smoke", ["data.word_weights=true"]).data.word_weights
    assert not read("smoke").data.word_weights
