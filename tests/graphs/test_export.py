"""Graphs hold no weights, are small, and are the same each time."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import onnx
import pytest
from safetensors.numpy import load_file

from tacit.errors import InvalidInput, MissingExtra
from tacit.graphs.export import PREFIX, can_have_graphs, make_graphs
from tacit.weights.metadata import read_metadata


def made(path: Path, **config: Any) -> dict[str, bytes]:
    about, tensors = read_metadata(path), load_file(path)
    own = {name: array for name, array in tensors.items() if not name.startswith(PREFIX)}
    return make_graphs(about["config"] | config, about["entropy"], own, about["decode_hash"])


def test_saved_weights_have_graphs_of_all_that_runs(tiny_weights: Path) -> None:
    stored = {n.removeprefix(PREFIX): a.tobytes() for n, a in load_file(tiny_weights).items() if n.startswith(PREFIX)}
    steps = {f"{kind}.{group}" for kind in ("anchor", "other") for group in range(3)}
    assert stored.keys() == {"analysis", "hyper_analysis", "hyper", "synthesis"} | steps
    assert made(tiny_weights) == stored
    assert max(map(len, stored.values())) < 40_000


def test_graphs_are_valid_and_take_the_weights_from_outside(tiny_weights: Path) -> None:
    tensors = load_file(tiny_weights)
    used: set[str] = set()
    for name, data in made(tiny_weights).items():
        model = onnx.load_from_string(data)
        assert model.graph.name == name
        outside = [i for i in model.graph.initializer if i.data_location == onnx.TensorProto.EXTERNAL]
        assert all(list(i.dims) == list(tensors[i.name].shape) for i in outside)
        used |= {i.name for i in outside}
        for initializer in outside:
            initializer.CopyFrom(onnx.numpy_helper.from_array(tensors[initializer.name], initializer.name))
        onnx.checker.check_model(model, full_check=True)
    # Tables and ranges are the host's or in the graphs.
    left = {n for n in tensors.keys() - used if not n.startswith((PREFIX, "entropy."))}
    assert left == {"context_scale"}


def test_what_has_no_graphs(tiny_weights: Path, tiny_taco_weights: Path) -> None:
    assert not any(name.startswith(PREFIX) for name in load_file(tiny_taco_weights))
    assert not can_have_graphs("tacit-s", {"attention": "linear"})
    with pytest.raises(InvalidInput, match="must be full to be made a graph, got linear"):
        made(tiny_weights, attention="linear")


def test_without_onnx(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name == "onnx":
            raise ImportError(name)
        return found(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"needs the package onnx; install tacit\[train\]"):
        made(tiny_weights)
