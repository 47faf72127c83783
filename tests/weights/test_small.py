"""Files of small syntheses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.small_models import CONFIG, small_synthesis, with_small_synthesis
from tacit import weights
from tacit.engine.small_model import SmallModel
from tacit.errors import CorruptWeights
from tacit.weights.metadata import read_metadata
from tacit.weights.small import save_small, small_path


def loaded(path: Path) -> SmallModel | None:
    return weights.load_onnx(path).small


@pytest.mark.parametrize("name", weights.SHIPPED)
def test_the_models_in_the_package_have_one(name: str) -> None:
    path = weights.locate(name)
    about = read_metadata(path)
    own = small_path(path, about["decode_hash"])
    assert own.stat().st_size <= 300_000
    card = read_metadata(own)["card"]
    assert card["data"]
    assert card["terms"]
    small = loaded(path)
    assert small is not None
    assert (small.latent, small.factors) == (64, [2, 4, 8])


def test_weights_without_one(tiny_weights: Path) -> None:
    assert loaded(tiny_weights) is None


def test_damage_is_found(tiny_weights: Path, tmp_path: Path) -> None:
    path = with_small_synthesis(tiny_weights, tmp_path)
    (own,) = (tmp_path / "small").iterdir()
    data = own.read_bytes()
    model = weights.load_onnx(path)
    for damaged in (data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], data[: len(data) // 2], b"nothing"):
        own.write_bytes(damaged)
        with pytest.raises(CorruptWeights, match=own.name):
            assert model.small
    own.write_bytes(data)
    assert model.small is not None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"groups": 1}, "channels must be the 16 of 1 groups, got 32"),
        ({"groups": 0}, "channels must be"),
        ({"factors": []}, r"factors must be among \[2, 4, 8\], got \[\]"),
        ({"factors": [16]}, "factors must be among"),
    ],
)
def test_a_configuration_that_does_not_fit(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], message: str
) -> None:
    path = with_small_synthesis(tiny_weights, tmp_path)
    decode_hash = read_metadata(path)["decode_hash"]
    own = small_path(path, decode_hash)
    tensors = {name: value.detach().numpy() for name, value in small_synthesis().state_dict().items()}
    monkeypatch.setattr("tacit.weights.small.make_small_synthesis", lambda *_: b"a graph")
    save_small(own, CONFIG.as_dict() | changed, tensors, decode_hash, {})
    with pytest.raises(CorruptWeights, match=message):
        assert loaded(path)


def test_a_file_of_other_weights(tiny_weights: Path, uneven_weights: Path, tmp_path: Path) -> None:
    path = with_small_synthesis(tiny_weights, tmp_path)
    other = with_small_synthesis(uneven_weights, tmp_path)
    first, second = (small_path(one, read_metadata(one)["decode_hash"]) for one in (path, other))
    first.write_bytes(second.read_bytes())
    with pytest.raises(CorruptWeights, match="decode hash must be"):
        assert loaded(path)
