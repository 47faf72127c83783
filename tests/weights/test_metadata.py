"""The decode hash covers what decoding needs and nothing else, as the format page says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

import reference_decoder as reference
from support.tiny_models import tiny_model, write_weights
from tacit import weights
from tacit.codec import Codec


def test_the_hash_covers_what_decoding_needs_and_nothing_else(tmp_path: Path) -> None:
    def change(part: str) -> bytes:
        model = tiny_model()
        # frozen before the change, as a later training of the encoder's side would leave the frozen part alone
        path = write_weights(tmp_path / "before.safetensors", model)
        frozen = weights.load(path).entropy
        if part:
            with torch.no_grad():
                next(p for n, p in model.named_parameters() if n.startswith(part)).add_(0.25)
        weights.save(path, model, frozen, {"changed": part})
        return weights.describe(path).decode_hash

    unchanged = change("")
    assert [change(p) == unchanged for p in ("analysis.", "hyper_analysis.", "gain.")] == [True] * 3
    assert [change(p) == unchanged for p in ("synthesis.", "inverse_gain.")] == [False] * 2


@pytest.mark.parametrize("name", ["tiny", "taco", "shipped"])
def test_the_hash_is_made_as_the_format_page_says(
    name: str, codec: Codec, taco_codec: Codec, shipped_codec: Codec
) -> None:
    path = {"tiny": codec, "taco": taco_codec, "shipped": shipped_codec}[name].path
    stored = reference.Weights(path)
    named = {"<i1": "int8", "<i2": "int16", "<i4": "int32", "<i8": "int64", "<f2": "float16", "<f4": "float32"}
    parts = {k: stored.about[k] for k in ("architecture", "config", "entropy")}
    fields = {
        "tacit-s": ("latent", "synthesis16", "synthesis8", "knots"),
        "taco": ("width", "latent", "knots", "published"),
    }[parts["architecture"]]
    parts["config"] = {k: parts["config"][k] for k in fields}
    data = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    for entry in sorted(stored.tensors, key=str.encode):
        if entry.startswith(("entropy.", "synthesis.", "inverse_gain.")):
            values = stored.tensors[entry]
            kind = named[values.dtype.str.replace("|", "<")]
            data += f"\n{entry} torch.{kind} {list(values.shape)}\n".encode() + values.tobytes()
    assert hashlib.sha256(data).digest()[:8] == weights.describe(path).decode_hash
