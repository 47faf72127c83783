"""The text encoder that runs CLIP, on a tiny text model with random weights."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.odd_captions import ODD
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders import ClipEncoder, load_encoder

pytestmark = pytest.mark.slow  # transformers takes seconds to import


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> ClipEncoder:
    return ClipEncoder(clip_folder)


@pytest.fixture(scope="module")
def published(clip_folder: Path) -> ClipEncoder:
    return ClipEncoder(clip_folder, published=True)


def reference(folder: Path, captions: list[str], **options: Any) -> torch.Tensor:
    """What transformers itself makes of the captions."""
    transformers: Any = importlib.import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.CLIPTextModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states: torch.Tensor = model(**tokenizer(captions, return_tensors="pt", **options)).last_hidden_state
    return states


def close(a: np.ndarray, b: np.ndarray | torch.Tensor) -> bool:
    return a.shape == b.shape and np.allclose(a, np.asarray(b), atol=1e-5)


def test_clip_gives_the_last_states_of_the_captions_tokens(clip: ClipEncoder, clip_folder: Path) -> None:
    caption = "a dog, a cat"
    tokens = clip([caption])
    assert clip.width == 16
    assert close(tokens.embeddings, reference(clip_folder, [caption])[:, 1:-1])
    assert [caption[a:b] for a, b in clip.offsets(caption)] == ["a", "dog", ",", "a", "c", "a", "t"]


def test_clip_masks_padding_and_absent_captions(clip: ClipEncoder) -> None:
    tokens = clip(["a dog", None, "", "dog " * 9])
    assert tokens.mask.sum(axis=1).tolist() == [2, 0, 0, 9]
    assert bool((tokens.embeddings[~tokens.mask] == 0).all())
    assert clip([None]).mask.tolist() == [[False]]


@pytest.mark.parametrize(("count", "sizes"), [(75, [75]), (76, [38, 38]), (160, [53, 53, 54])])
def test_clip_reads_long_captions_in_windows(
    clip: ClipEncoder, clip_folder: Path, count: int, sizes: list[int]
) -> None:
    words = ("dog a b dog c " * 40).split()[:count]
    parts, start = [], 0
    for size in sizes:
        parts.append(reference(clip_folder, [" ".join(words[start : start + size])])[:, 1:-1])
        start += size
    tokens = clip(["dog", " ".join(words)])
    assert close(tokens.embeddings[1:], torch.cat(parts, dim=1))
    assert tokens.mask.sum(axis=1).tolist() == [1, count]
    assert len(clip.offsets(" ".join(words))) == count


def test_clip_batch_equals_one_by_one(clip: ClipEncoder) -> None:
    captions = ["a dog", None, "dog " * 100, "b " * 3000, "c"]
    batch = clip(captions)
    singles = CaptionTokens.stack([clip([c]) for c in captions])
    assert np.array_equal(batch.mask, singles.mask)
    assert close(batch.embeddings, singles.embeddings)


@pytest.mark.parametrize("caption", [c for c in ODD.values() if len(c) < 1000])
def test_clip_odd_captions(clip: ClipEncoder, published: ClipEncoder, caption: str) -> None:
    tokens = clip([caption])
    assert np.isfinite(tokens.embeddings).all()
    offsets = clip.offsets(caption)
    assert len(offsets) == tokens.mask.sum()
    assert all(0 <= a <= b <= len(caption) for a, b in offsets)
    assert published([caption]).embeddings.shape == (1, 38, 16)


def test_clip_takes_special_tokens_in_a_caption_for_words(clip: ClipEncoder) -> None:
    assert len(clip.offsets("<|endoftext|>")) > 1


def test_published_convention(published: ClipEncoder, clip_folder: Path) -> None:
    captions = ["a dog", "", "dog a " * 40]
    tokens = published(["a dog", None, "dog a " * 40])
    expected = reference(clip_folder, captions, padding="max_length", max_length=38, truncation=True)
    assert close(tokens.embeddings, expected)
    assert tokens.mask.shape == (3, 38)
    assert tokens.mask.all()
    assert published.offsets("a dog") == [(0, 0), (0, 1), (2, 5)] + [(0, 0)] * 35
    assert len(published.offsets("dog a " * 40)) == 38


def test_clip_names_lead_back(clip_folder: Path) -> None:
    for kind in ("clip", "clip-published"):
        name = f"{kind}:{clip_folder}"
        encoder = load_encoder(name)
        assert encoder.name == name
        assert encoder(["a dog"]).mask.shape[1] == (2 if kind == "clip" else 38)
