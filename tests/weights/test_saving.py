"""Weights files are saved whole, and what only encoding needs may change."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from support.pictures import synthetic
from support.weights_files import forged
from tacit import weights
from tacit.codec import Codec
from tacit.errors import PathError


@pytest.mark.parametrize("which", ["tiny_weights", "tiny_taco_weights", "tiny_taco_fixed_weights"])
def test_saving_again_changes_nothing(request: pytest.FixtureRequest, which: str, tmp_path: Path) -> None:
    path: Path = request.getfixturevalue(which)
    model = weights.load(path)
    assert not any(p.requires_grad or p.is_meta for p in model.parameters())
    assert not model.training
    digest = weights.save(tmp_path / "a.safetensors", model.float_model, model.entropy, weights.card(path))
    assert digest[:16] == weights.describe(path).decode_hash.hex()
    assert (tmp_path / "a.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_saved_file_has_the_usual_permissions(tiny_weights: Path, tmp_path: Path) -> None:
    model = weights.load(tiny_weights)
    before = os.umask(0o022)
    try:
        weights.save(tmp_path / "a.safetensors", model.float_model, model.entropy, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o644
    assert len(list(tmp_path.iterdir())) == 1


def test_saving_to_nowhere(tiny_weights: Path, tmp_path: Path) -> None:
    model = weights.load(tiny_weights)
    (tmp_path / "file").write_text("")
    with pytest.raises(PathError):
        weights.save(tmp_path / "file" / "a.safetensors", model.float_model, model.entropy, {})
    (tmp_path / "b.safetensors").mkdir()
    with pytest.raises(PathError):
        weights.save(tmp_path / "b.safetensors", model.float_model, model.entropy, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.safetensors", "file"]


def test_what_only_encoding_needs_may_change(codec: Codec, tiny_weights: Path, tmp_path: Path) -> None:
    """A retrained analysis, another card: old files decode as before."""

    def change(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        about["card"] = {"name": "retrained"}
        for name, tensor in tensors.items():
            if name.startswith(("analysis.", "hyper_analysis.", "gain.")):
                tensor.mul_(1.1)

    other = Codec(forged(tiny_weights, change, tmp_path / "other.safetensors"), precision="fp32")
    assert weights.describe(other.path).decode_hash == weights.describe(tiny_weights).decode_hash
    image = synthetic(40, 30)
    data = codec.encode(image)
    assert other.encode(image) != data
    assert other.decode(data) == codec.decode(data)
    assert codec.decode(other.encode(image)) == other.decode(other.encode(image))
