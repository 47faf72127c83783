"""Published state dicts are imported, or refused where they are not the published network."""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from support.paths import DATA
from support.published_taco import published_state
from tacit import weights
from tacit.errors import CorruptWeights, PathError
from tacit.models.taco import TacoModel
from tacit.models.taco_import import load_published, read_published

OLD_NAMES = {"matrices.": "_matrix", "biases.": "_bias", "factors.": "_factor"}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return published_state()


@pytest.fixture(scope="module")
def model(state: dict[str, Tensor]) -> TacoModel:
    return load_published(state)


def test_maps_every_published_name_and_shape(state: dict[str, Tensor]) -> None:
    path = DATA / "taco_state_dict.json"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    listed = json.loads(path.read_text())
    learned = {name for name in state if not name.startswith("gaussian_conditional.")}
    assert len(listed) == 441
    assert {name: list(state[name].shape) for name in learned} == {name: listed[name] for name in learned}
    # what is listed beyond is no more than tables and bounds, and is passed over
    load_published({name: state[name] if name in learned else torch.zeros(shape) for name, shape in listed.items()})


def old_name(name: str) -> str:
    for new, old in OLD_NAMES.items():
        name = name.replace(f"entropy_bottleneck.{new}", f"entropy_bottleneck.{old}")
    return name


@pytest.mark.parametrize("form", ["bare", "nested", "parallel", "old", "half"])
def test_reads_every_form_of_checkpoint(tmp_path: Path, state: dict[str, Tensor], model: TacoModel, form: str) -> None:
    content: dict[str, object] = dict(state)
    if form == "nested":
        content = {"epoch": 50, "state_dict": state, "loss": 1.5, "optimizer": {"state": {}, "param_groups": []}}
    elif form == "parallel":
        content = {"state_dict": {f"module.{name}": entry for name, entry in state.items()}}
    elif form == "old":
        content = {old_name(name): entry for name, entry in state.items()}
        assert "entropy_bottleneck._matrix0" in content
    elif form == "half":
        content = {name: entry.half() for name, entry in state.items()}
    path = tmp_path / "taco.pth.tar"
    torch.save(content, path)
    found, expected = load_published(read_published(path)).state_dict(), model.state_dict()
    assert found.keys() == expected.keys()
    for name, entry in found.items():
        assert entry.dtype == torch.float32
        assert torch.equal(entry, expected[name].half().float() if form == "half" else expected[name]), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("h_s.increase.0.bias"), r"missing: h_s\.increase\.0\.bias$"),
        (lambda s: [s.pop(name) for name in list(s) if name.startswith("g_a.")], r"missing: g_a.* and \d+ more$"),
        (lambda s: s.update({"g_x.weight": torch.zeros(1)}), r"unexpected: g_x\.weight$"),
        (
            lambda s: s.update({"h_a.reduction.0.bias": torch.zeros(191)}),
            r"misshapen: h_a\.reduction\.0\.bias \[191\], expected \[192\]$",
        ),
        (
            # as many numbers, in another shape
            lambda s: s.update({"h_s.increase.4.weight": s["h_s.increase.4.weight"].transpose(0, 1)}),
            r"misshapen: h_s\.increase\.4\.weight \[640, 480, 3, 3\], expected \[480, 640, 3, 3\]$",
        ),
        (
            lambda s: s.update({"entropy_bottleneck._bias0": s["entropy_bottleneck.biases.0"]}),
            r"entropy_bottleneck\.biases\.0 is there twice, the second time as entropy_bottleneck\._bias0$",
        ),
        (
            lambda s: s.update({"module.h_a.reduction.0.bias": s["h_a.reduction.0.bias"]}),
            r"h_a\.reduction\.0\.bias is there twice",
        ),
        (
            lambda s: s.update({"entropy_bottleneck.quantiles": s["entropy_bottleneck.quantiles"] * math.nan}),
            r"not finite: entropy_bottleneck\.quantiles$",
        ),
    ],
    ids=["missing", "many", "unexpected", "misshapen", "transposed", "old twice", "module twice", "nan"],
)
def test_refuses_what_is_not_the_published_network(state: dict[str, Tensor], change: object, message: str) -> None:
    changed = dict(state)
    change(changed)  # type: ignore[operator]
    with pytest.raises(CorruptWeights, match=message):
        load_published(changed)


class Rogue:
    """Unpickling this runs a function of the file's choice."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("rogue",))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"not a checkpoint", pickle.dumps([1, 2]), pickle.dumps(Rogue())]
)
def test_foreign_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "foreign.pth.tar"
    path.write_bytes(content)
    with pytest.raises(CorruptWeights, match=r"foreign\.pth\.tar: ") as caught:
        read_published(path)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "rogue").exists()


def test_what_is_not_read_is_named_without_advice_to_read_it(tmp_path: Path) -> None:
    path = tmp_path / "run.pth.tar"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "args": argparse.Namespace(lr=1)}, path)
    with pytest.raises(CorruptWeights) as caught:
        read_published(path)
    assert str(caught.value).endswith("safely: it holds argparse.Namespace, and only tensors and plain values are read")


def test_an_import_that_fails_names_the_checkpoint(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "other.pth.tar")
    with pytest.raises(CorruptWeights, match=r"other\.pth\.tar: not the published TACO network: missing: "):
        weights.import_taco(tmp_path / "other.pth.tar", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("content", [[1], {}, {"state_dict": {}}, {"state_dict": 3}, {"a": 3}, {3: torch.zeros(1)}])
def test_checkpoints_without_a_state_dict_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pth.tar"
    torch.save(content, path)
    with pytest.raises(CorruptWeights, match=r"other\.pth\.tar: "):
        read_published(path)


def test_truncated_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.pth.tar"
    torch.save({"state_dict": {"a": torch.arange(100.0)}}, path)
    whole = path.read_bytes()
    assert read_published(path)["a"].shape == (100,)
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptWeights):
            read_published(path)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pth.tar", tmp_path):
        with pytest.raises(PathError, match=str(path)):
            read_published(path)
