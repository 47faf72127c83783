"""The embedded text encoder: its files, what its vectors mean, its tokens and offsets."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn.functional import cosine_similarity

import tacit.text
from support.odd_captions import ODD
from tacit.errors import CorruptWeights, InvalidInput
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders import EmbeddedEncoder, TextEncoder
from tacit.text.encoders import embedded as embedded_module

FOLDER = Path(tacit.text.__path__[0])


# anchor, nearer, farther
WORDS = """
puppy dog airplane; kitten cat truck; car truck banana; bicycle motorcycle pizza; boat ship mountain;
lake river computer; ocean sea keyboard; beach sand office; snow ice fire; forest tree sofa; flower rose engine;
apple banana train; bread cake horse; pizza pasta bridge; coffee tea elephant; cup mug giraffe; fork spoon cow;
chair sofa whale; bed pillow rocket; lamp light sheep; house building fish; castle palace sandwich; street road bird;
train railway cake; airplane helicopter flower; rocket spaceship teapot; horse pony laptop; cow bull umbrella;
sheep lamb bus; bird parrot hammer; eagle hawk bottle; fish salmon guitar; shark whale bench; lion tiger kitchen;
bear panda scissors; woman girl tractor; man boy broccoli; baby infant skyscraper; bride wedding snowboard;
doctor nurse zebra; guitar piano carrot; tennis racket refrigerator; soccer football curtain;
skateboard snowboard lettuce; surfer wave bookshelf; shirt jacket volcano; hat cap river; shoe boot cloud;
red crimson slow; sunset sunrise toilet; cloud sky knife; rain storm desk; television screen grass;
phone telephone meadow; laptop computer goat; book magazine waterfall; clock watch vegetable; king queen bicycle;
hammer screwdriver kitten; smile laugh concrete; running jogging sleeping; eating drinking climbing
"""


SENTENCES = """
a puppy asleep on a rug | a small dog lying on a carpet | a plane on a runway
a man riding a wave on a surfboard | a surfer in the ocean | a bowl of soup on a table
two kids playing soccer | children kicking a ball on a field | a vase of red roses
a bowl of fresh fruit | apples, oranges and bananas in a dish | a train at a station
a city skyline at night | skyscrapers lit up after dark | a horse grazing in a meadow
snow-covered mountains | alpine peaks in winter | a laptop and a mouse on a desk
a woman holding an umbrella in the rain | a lady walking on a wet street | a plate of pasta
a red double-decker bus | a tall bus in london traffic | an owl on a branch
a rocket lifting off | a spacecraft launch | a cup of coffee with foam
an old stone church | a medieval cathedral with a tower | a pair of running shoes
"""


TRIPLES = [t.split() for t in WORDS.replace("\n", " ").split(";")]
TRIPLES += [[c.strip() for c in line.split("|")] for line in SENTENCES.strip().splitlines()]


@pytest.fixture(scope="module")
def embedded() -> EmbeddedEncoder:
    return EmbeddedEncoder()


def meaning(encoder: TextEncoder, caption: str) -> torch.Tensor:
    return torch.from_numpy(encoder([caption]).embeddings[0].mean(axis=0))


def test_files_are_pinned_small_and_licensed() -> None:
    contents = {n: (FOLDER / n).read_bytes() for n in ("embedded.safetensors", "embedded-tokenizer.json")}
    assert sum(map(len, contents.values())) <= 8_000_000
    assert {n: hashlib.sha256(c).hexdigest() for n, c in contents.items()} == {
        "embedded.safetensors": "b794f04f3746a498edd76657c852cf61c172d586ddf57f4ea035c2e4eb0f393b",
        "embedded-tokenizer.json": "0021c53aef816452d61c1aa9fc35fdba1684b29eedc38abe3aad6a25185088e3",
    }
    with safe_open(FOLDER / "embedded.safetensors", "pt") as file:
        card = json.loads(file.metadata()["card"])
    assert card["license"] == "Apache-2.0"
    assert card["source"] == "sentence-transformers/all-MiniLM-L6-v2"


def test_table_has_unit_mean_square_and_a_row_for_every_piece() -> None:
    tensors = load_file(FOLDER / "embedded.safetensors")
    table = tensors["rows"].float() * tensors["scales"].float()
    vocabulary = json.loads((FOLDER / "embedded-tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    assert table.shape == (len(vocabulary), EmbeddedEncoder.width)
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert table.square().mean().item() == pytest.approx(1.0, abs=0.01)
    lengths = table.square().mean(dim=1).sqrt()
    assert lengths.min() > 0.3
    assert lengths.max() < 1.5


@pytest.mark.parametrize("constant", ["TABLE_SHA256", "TOKENIZER_SHA256"])
def test_altered_file_is_refused(constant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_module, constant, "0" * 64)
    with pytest.raises(CorruptWeights, match="must be 0000"):
        EmbeddedEncoder()


@pytest.mark.slow
def test_loads_quickly_and_tokens_need_no_encoder() -> None:
    # Processor time, so that a busy machine does not fail the test; the promise is 0.3 s.
    script = """
import sys, time
import numpy, tacit.text.caption_tokens
assert not {"tokenizers", "tacit.text.encoders"} & set(sys.modules), "tokens.py pulled in the encoders"
start = time.process_time()
from tacit.text.encoders import load_encoder
load_encoder("embedded")(["a puppy"])
took = time.process_time() - start
assert not {"transformers", "torch"} & set(sys.modules), "the embedded encoder needs neither"
print(took)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.3


def test_nearer_captions_are_nearer(embedded: EmbeddedEncoder) -> None:
    def right(anchor: str, nearer: str, farther: str) -> bool:
        a, n, f = (meaning(embedded, c) for c in (anchor, nearer, farther))
        return bool(cosine_similarity(a, n, dim=0) > cosine_similarity(a, f, dim=0) + 0.02)

    assert len(TRIPLES) == 72
    assert [t for t in TRIPLES if not right(*t)] == []


def test_telling_words_are_longer_than_function_words(embedded: EmbeddedEncoder) -> None:
    def length(word: str) -> float:
        return float(meaning(embedded, word).square().mean().sqrt())

    assert max(map(length, ["the", "a", "of", ","])) < min(map(length, ["puppy", "airplane", "pizza", "red"]))


def test_mask_says_which_tokens_are_real(embedded: EmbeddedEncoder) -> None:
    tokens = embedded(["a dog, asleep.", None, "", " \t\n", "\x00\x07", "dog"])
    assert tokens.embeddings.shape == (6, 5, 256)
    assert tokens.embeddings.dtype == np.float32
    assert tokens.mask.sum(axis=1).tolist() == [5, 0, 0, 0, 0, 1]
    assert bool((tokens.weights == 1).all())
    assert bool((tokens.embeddings[~tokens.mask] == 0).all())


@pytest.mark.parametrize("caption", [None, "", "  "])
def test_no_caption_at_all_still_has_one_position(embedded: EmbeddedEncoder, caption: str | None) -> None:
    tokens = embedded([caption])
    assert tokens.embeddings.shape == (1, 1, 256)
    assert not tokens.mask.any()
    assert embedded.offsets(caption) == []


def test_offsets_point_into_the_caption(embedded: EmbeddedEncoder) -> None:
    caption = "Two Cafés, 🐶 snowboarding"
    assert [caption[a:b] for a, b in embedded.offsets(caption)] == ["Two", "Cafés", ",", "🐶", "snow", "boarding"]


def test_special_tokens_in_a_caption_are_only_words(embedded: EmbeddedEncoder) -> None:
    assert embedded.offsets("[SEP]") == [(0, 1), (1, 4), (4, 5)]


@pytest.mark.parametrize("caption", ODD.values(), ids=ODD.keys())
def test_odd_captions(embedded: EmbeddedEncoder, caption: str) -> None:
    tokens = embedded([caption])
    assert np.isfinite(tokens.embeddings).all()
    assert len(embedded.offsets(caption)) == tokens.mask.sum()


@pytest.mark.slow
def test_a_megabyte_is_neither_cut_nor_fatal(embedded: EmbeddedEncoder) -> None:
    tokens = embedded(["a dog " * 166_667])
    assert tokens.mask.shape == (1, 333_334)
    assert tokens.mask.all()


@settings(max_examples=60, deadline=None)
@given(
    captions=st.lists(st.none() | st.text(st.characters(exclude_categories=()), max_size=80), min_size=1, max_size=4)
)
def test_batch_equals_one_by_one(embedded: EmbeddedEncoder, captions: list[str | None]) -> None:
    batch = embedded(captions)
    singles = CaptionTokens.stack([embedded([c]) for c in captions])
    assert np.array_equal(batch.embeddings, singles.embeddings)
    assert np.array_equal(batch.mask, singles.mask)
    for caption, count in zip(captions, batch.mask.sum(axis=1).tolist(), strict=True):
        offsets = embedded.offsets(caption)
        assert len(offsets) == count
        assert all(0 <= a < b <= len(caption or "") for a, b in offsets)
        assert offsets == sorted(offsets)


@pytest.mark.parametrize("captions", ["a dog", [], [1], [b"a dog"]])
def test_what_is_not_a_list_of_captions_is_refused(embedded: EmbeddedEncoder, captions: Any) -> None:
    with pytest.raises(InvalidInput, match="caption"):
        embedded(captions)
