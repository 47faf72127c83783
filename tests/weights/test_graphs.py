"""Weights files with graphs: adding them, and what is refused when they are loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load as parse
from torch import Tensor

from support.weights_files import forged
from tacit import weights
from tacit.entropy.streams import Stream
from tacit.errors import CorruptWeights, InvalidInput, PathError
from tacit.graphs.export import PREFIX
from tacit.weights import graphs


def without_graphs(path: Path, out: Path) -> Path:
    def change(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        for name in [n for n in tensors if n.startswith(PREFIX)]:
            del tensors[name]

    return forged(path, change, out)


def test_graphs_are_added_to_an_older_file(tiny_weights: Path, tmp_path: Path) -> None:
    old = without_graphs(tiny_weights, tmp_path / "old.safetensors")
    with pytest.raises(CorruptWeights, match=r"no graphs, .* tacit.weights.add_graphs\(FILE\) adds them"):
        weights.load_onnx(old)
    weights.add_graphs(old)
    assert weights.describe(old).decode_hash == weights.describe(tiny_weights).decode_hash
    assert weights.load_onnx(old).synthesis_reach == weights.load(old).synthesis_reach
    weights.add_graphs(old, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == old.read_bytes()


def test_graphs_of_other_weights_are_refused(tiny_weights: Path, tmp_path: Path) -> None:
    def change(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        tensors["inverse_gain.log_gain"] += 1

    path = forged(tiny_weights, change, tmp_path / "a.safetensors")
    with pytest.raises(CorruptWeights, match=r"a\.safetensors: graph hyper must be made for weights"):
        weights.load_onnx(path).decompress([Stream(b"\0\0\0\0")], 4, 4, 50.0)


def test_a_damaged_graph_is_one_clear_line(tiny_weights: Path, tmp_path: Path) -> None:
    def change(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        tensors[f"{PREFIX}hyper"] = tensors[f"{PREFIX}hyper"][:100].clone()

    path = forged(tiny_weights, change, tmp_path / "a.safetensors")
    with pytest.raises(CorruptWeights, match="graph hyper cannot be loaded") as caught:
        weights.load_onnx(path).decompress([Stream(b"\0\0\0\0")], 4, 4, 50.0)
    assert "\n" not in str(caught.value)


def test_a_missing_graph_is_one_clear_line(tiny_weights: Path, tmp_path: Path) -> None:
    def change(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        del tensors[f"{PREFIX}hyper"]

    path = forged(tiny_weights, change, tmp_path / "a.safetensors")
    with pytest.raises(CorruptWeights, match=r"a\.safetensors: graph hyper is missing"):
        weights.load_onnx(path).decompress([Stream(b"\0\0\0\0")], 4, 4, 50.0)


def test_what_cannot_have_graphs(tiny_taco_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be tacit-s with full attention"):
        weights.add_graphs(tiny_taco_weights, tmp_path / "a.safetensors")
    with pytest.raises(PathError):
        weights.load_onnx(tmp_path / "none.safetensors")


def test_damage_is_found(tiny_weights: Path, tmp_path: Path) -> None:
    data = bytearray(tiny_weights.read_bytes())
    data[-10] ^= 1
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(CorruptWeights, match="contents hash must be"):
        weights.load_onnx(tmp_path / "a.safetensors")


def test_an_old_runtime_is_refused(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.15.0")
    with pytest.raises(InvalidInput, match=r"onnxruntime must be 1\.\d+ or newer, got 1\.15\.0"):
        weights.load_onnx(tiny_weights)


@pytest.mark.slow
def test_no_torch_is_imported(tiny_weights: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import numpy as np; from tacit import weights;"
        "from tacit.text.encoders import load_encoder;"
        f"model = weights.load_onnx(Path({str(tiny_weights)!r}));"
        "y = model.analyse(np.zeros((1, 64, 64, 3), np.uint8), load_encoder('embedded')(['a boat']));"
        "streams, latents = model.compress(y, 50.0);"
        "assert (model.decompress(streams, 4, 4, 50.0) == latents).all();"
        "assert model.levels(latents, 50.0).shape == (1, 64, 64, 3);"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_shipped_weights_are_read_where_they_are() -> None:
    data = weights.locate(weights.DEFAULT).read_bytes()
    found, expected = graphs._views(data), parse(data)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array), name
        assert found[name].base is not None  # no copy


def test_a_changed_byte_of_shipped_weights_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(weights.locate(weights.DEFAULT).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "tacit-s.safetensors").write_bytes(data)
    monkeypatch.setattr("tacit.weights.catalogue.FOLDER", tmp_path)
    with pytest.raises(CorruptWeights, match="sha256 must be"):
        weights.load_onnx(tmp_path / "tacit-s.safetensors")
