from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tacit import viewer, weights
from tacit.errors import CorruptWeights, MissingExtra, PathError
from tacit.weights.metadata import contents_hash, decode_hash, read_metadata


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A viewer of two files, as `make js` builds a larger one."""
    static = tmp_path / "static"
    (static / "ort").mkdir(parents=True)
    (static / "index.html").write_text("page")
    (static / "ort" / "runtime.wasm").write_bytes(b"wasm")
    monkeypatch.setattr(viewer, "STATIC", static)
    return static


def test_the_folder_has_the_page_and_weights_under_the_names_that_files_use(built: Path, tmp_path: Path) -> None:
    folder = viewer.export(tmp_path / "site", ["tacit-s"])
    name = weights.describe(weights.locate("tacit-s")).decode_hash.hex()
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "index.html",
        "ort/runtime.wasm",
        f"weights/{name}.safetensors",
    ]
    viewer.export(folder, ["tacit-s"])  # again over what is there


def test_the_weights_can_decode_and_nothing_else(built: Path, tmp_path: Path) -> None:
    whole = weights.locate("tacit-s")
    (stored,) = (viewer.export(tmp_path / "site", ["tacit-s"]) / "weights").iterdir()
    assert stored.stat().st_size < 0.7 * whole.stat().st_size
    tensors = load_file(stored)
    assert not any(name.startswith(("analysis.", "hyper_analysis.", "gain.")) for name in tensors)
    assert "graphs.synthesis" in tensors
    assert "graphs.analysis" not in tensors
    about = read_metadata(stored)
    assert decode_hash(about, tensors) == about["decode_hash"] == read_metadata(whole)["decode_hash"]
    assert contents_hash(about, tensors) == about["contents_hash"] != read_metadata(whole)["contents_hash"]


def test_without_a_built_viewer_the_error_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "STATIC", tmp_path / "none")
    with pytest.raises(MissingExtra, match="make js"):
        viewer.export(tmp_path / "site")


def test_a_folder_that_cannot_be_written(built: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PathError, match="file"):
        viewer.export(tmp_path / "file" / "site")


def test_weights_without_graphs_are_refused(built: Path, tmp_path: Path) -> None:
    about = json.dumps(read_metadata(weights.locate("tacit-s")))
    header = json.dumps({"__metadata__": {"tacit": about}}).encode()
    (tmp_path / "old.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(CorruptWeights, match="graphs"):
        viewer.export(tmp_path / "site", [str(tmp_path / "old.safetensors")])
