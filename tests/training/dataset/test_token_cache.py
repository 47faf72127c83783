"""The tokens of captions, each caption encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tacit.errors import CorruptWeights
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.tokens import TextTokens
from tacit.training.dataset.token_cache import TokenCache


def test_captions_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.training.dataset.embedding_files.MAX_FILE_SIZE", 20_000)
    captions = [f"a boat of {i} tons" for i in range(12)]
    cache = TokenCache("embedded", 256, tmp_path / "cache")
    assert cache.write([*captions, captions[0]]) == 12
    assert cache.write([*captions, "a new one"]) == 1
    pieces = sorted((tmp_path / "cache").iterdir())
    assert len(pieces) > 2
    assert all(p.stat().st_size < 25_000 for p in pieces)
    from tacit.text import encoders

    wanted = TextTokens.of(encoders.load_encoder("embedded")([captions[3], None, "a new one"]))
    monkeypatch.setattr(encoders, "load_encoder", lambda name: pytest.fail("encoded again"))
    found = TokenCache("embedded", 256, tmp_path / "cache")([captions[3], None, "a new one"])
    assert torch.equal(found.mask, wanted.mask)
    assert torch.equal(found.embeddings, wanted.embeddings.half().float())
    with pytest.raises(CorruptWeights, match="clip with 512 channels"):
        TokenCache("clip", 512, tmp_path / "cache")(["a boat"])
    pieces[0].write_bytes(b"no")
    with pytest.raises(CorruptWeights):
        TokenCache("embedded", 256, tmp_path / "cache")(["a boat"])


def test_unknown_captions_are_encoded_once_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.text import encoders

    calls: list[Sequence[str | None]] = []
    encoder = encoders.load_encoder("embedded")

    def encode(captions: Sequence[str | None]) -> CaptionTokens:
        calls.append(captions)
        return encoder(captions)

    monkeypatch.setattr(encoders, "load_encoder", lambda name: encode)
    cache = TokenCache("embedded", 256)
    first = cache(["a boat", "a boat", None])
    assert torch.equal(cache(["a boat"]).embeddings[0], first.embeddings[0, : first.mask[0].sum()])
    assert calls == [["a boat"]]
    with pytest.raises(CorruptWeights, match="the model takes 512"):
        TokenCache("embedded", 512)(["a boat"])
