"""Weights files are verified before anything is built from them."""

from __future__ import annotations

import copy
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from support.pictures import synthetic
from support.weights_files import forged
from tacit import weights
from tacit.codec import Codec
from tacit.errors import CorruptWeights
from tacit.weights import catalogue
from tacit.weights.metadata import contents_hash, read_metadata

SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def whole(tiny_weights: Path) -> bytes:
    return tiny_weights.read_bytes()


@pytest.fixture
def loads(tmp_path: Path) -> Callable[[bytes], str]:
    """Writes bytes to a file and loads it; they must be refused. Returns the reason."""

    def load(data: bytes) -> str:
        path = tmp_path / "damaged.safetensors"
        path.write_bytes(data)
        with pytest.raises(CorruptWeights) as caught:
            weights.load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(f"{path}: ")

    return load


def header_of(data: bytes) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and the header."""
    length = struct.unpack("<Q", data[:8])[0]
    return 8 + length, json.loads(data[8 : 8 + length])


def test_the_shipped_file_must_be_the_shipped_one(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even another good file is not it."""
    (tmp_path / "weights").mkdir()
    shutil.copy(tiny_weights, tmp_path / "weights" / "tacit-s.safetensors")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "weights")
    with pytest.raises(CorruptWeights, match=f"sha256 must be {weights.SHIPPED['tacit-s']}, got"):
        weights.load(weights.locate("tacit-s"))


def test_loading_draws_no_random_numbers(tiny_weights: Path) -> None:
    before = torch.get_rng_state()
    weights.load(tiny_weights)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.nn.Linear(8, 8).weight.any()  # and modules made later have their values


def test_a_flipped_bit_in_each_tensor(whole: bytes, loads: Callable[[bytes], str]) -> None:
    start, header = header_of(whole)
    rng = np.random.default_rng(0)
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            flipped = bytearray(whole)
            flipped[start + rng.integers(begin, end)] ^= 1 << rng.integers(8)
            assert "hash" in loads(bytes(flipped)), name


@pytest.mark.parametrize("contents", ["none", "right"])
def test_the_decode_hash_is_verified_by_itself(tiny_weights: Path, tmp_path: Path, contents: str) -> None:
    about, tensors = read_metadata(tiny_weights), load_file(tiny_weights)
    tensors["entropy.medians"][0] += 1
    del about["contents_hash"]
    if contents == "right":
        about["contents_hash"] = contents_hash(about, tensors)
    save_file(tensors, tmp_path / "a.safetensors", metadata={"tacit": json.dumps(about)})
    with pytest.raises(CorruptWeights, match="decode hash"):
        weights.load(tmp_path / "a.safetensors")


def test_the_contents_hash_cannot_be_left_out(tiny_weights: Path, tmp_path: Path) -> None:
    about = read_metadata(tiny_weights)
    del about["contents_hash"]
    save_file(load_file(tiny_weights), tmp_path / "a.safetensors", metadata={"tacit": json.dumps(about)})
    with pytest.raises(CorruptWeights, match="contents_hash"):
        weights.load(tmp_path / "a.safetensors")


@settings(SHARED, max_examples=200)
@given(data=st.data())
def test_a_flipped_bit_in_the_header(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    start, _ = header_of(whole)
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, start - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(flipped)
    for load in (weights.load, weights.load_onnx):
        with pytest.raises(CorruptWeights) as caught:
            load(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 20_000, -100_000, -1])
def test_truncated(whole: bytes, loads: Callable[[bytes], str], length: int) -> None:
    loads(whole[:length])


def test_appended(whole: bytes, loads: Callable[[bytes], str]) -> None:
    loads(whole + b"\0")


@settings(SHARED, max_examples=50)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes(tmp_path: Path, data: bytes, framed: bool) -> None:
    path = tmp_path / "random.safetensors"
    path.write_bytes(struct.pack("<Q", len(data)) + data if framed else data)
    with pytest.raises(CorruptWeights):
        weights.load(path)
    with pytest.raises(CorruptWeights):
        weights.describe(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b"[]",
        b"null",
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"__metadata__": {"tacit": "' + b"[" * 100_000 + b'"}}',
        b'{"__metadata__": {}}',
        b'{"__metadata__": {"tacit": 5}}',
        b'{"__metadata__": {"tacit": "[]"}}',
        b'{"__metadata__": {"tacit": "{\\"format\\": 1}"}}',
        b'{"__metadata__": {"tacit": "{\\"format\\": 2}"}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
        b"\xff\xfe",
    ],
)
def test_foreign_headers(loads: Callable[[bytes], str], header: bytes) -> None:
    loads(struct.pack("<Q", len(header)) + header)
    loads(struct.pack("<Q", 2**62) + header)


def test_a_checkpoint_is_no_weights_file(loads: Callable[[bytes], str], tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pt")
    loads((tmp_path / "a.pt").read_bytes())
    save_file({"a": torch.zeros(3)}, tmp_path / "a.safetensors")
    assert loads((tmp_path / "a.safetensors").read_bytes()) == "not a weights file of tacit"


def test_a_newer_format(tiny_weights: Path, tmp_path: Path) -> None:
    path = forged(tiny_weights, lambda about, _: about.update(format=2), tmp_path / "a.safetensors")
    with pytest.raises(CorruptWeights, match="format of the weights must be 1; a newer tacit may read others"):
        Codec(path).encode(synthetic(4, 4))


CONFIGURATIONS: list[dict[str, Any]] = [
    {"latent": 2**31},
    {"latent": -48},
    {"latent": 48.5},
    {"latent": "48"},
    {"latent": None},
    {"analysis8": 10**9},
    {"synthesis8": 3},
    {"groups": []},
    {"groups": [16, 16, 17]},
    {"groups": [48]},
    {"groups": [1] * 48},
    {"groups": [64, -32, 16]},
    {"groups": "abc"},
    {"hidden": [24]},
    {"hyper": 9},
    {"knots": 1},
    {"knots": 2**40},
    {"heads": 0},
    {"heads": 7},
    {"text_width": 10**12},
    {"scale_min": float("nan")},
    {"colour": 1},
]


@pytest.mark.parametrize("values", CONFIGURATIONS, ids=str)
def test_configurations_of_other_models(tiny_weights: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    path = forged(tiny_weights, lambda about, _: about["config"].update(values), tmp_path / "a.safetensors")
    with pytest.raises(CorruptWeights, match=r"parts do not belong together|not those of tacit weights"):
        Codec(path).encode(synthetic(4, 4))


@pytest.mark.parametrize("name", ["architecture", "config", "entropy", "card", "decode_hash", "format"])
@pytest.mark.parametrize("value", [None, 5, "taco", "tacit-xl", [], {}, ["a"], {"a": 1}])
def test_metadata_of_other_kinds(tiny_weights: Path, tmp_path: Path, name: str, value: Any) -> None:
    def change(about: dict[str, Any], _: dict[str, Tensor]) -> None:
        about[name] = value

    path = forged(tiny_weights, change, tmp_path / "a.safetensors")
    if name == "decode_hash" or (name, value) in (("card", {}), ("card", {"a": 1})):
        return  # written anew by `forged`; a card may say anything
    with pytest.raises(CorruptWeights):
        Codec(path).encode(synthetic(4, 4))


@pytest.mark.parametrize("name", ["architecture", "config", "entropy", "card", "decode_hash", "format"])
def test_metadata_left_out(tiny_weights: Path, tmp_path: Path, name: str) -> None:
    data = tiny_weights.read_bytes()
    start, header = header_of(data)
    about = json.loads(header["__metadata__"]["tacit"])
    del about[name]
    header["__metadata__"]["tacit"] = json.dumps(about)
    stored = json.dumps(header).encode()
    stored += b" " * (-len(stored) % 8)
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(stored)) + stored + data[start:])
    with pytest.raises(CorruptWeights):
        Codec(path).encode(synthetic(4, 4))


def layers(about: dict[str, Any], chain: str) -> list[dict[str, Any]]:
    return about["entropy"]["chains"][chain]  # type: ignore[no-any-return]


LIMITS = "entropy.channel_context.1.limits"
FORGERIES: dict[str, Callable[[dict[str, Any], dict[str, Tensor]], object]] = {
    "a tensor too few": lambda a, t: t.pop("gain.log_gain"),
    "a tensor too many": lambda a, t: t.update({"more": torch.zeros(3)}),
    "a chain's tensor too few": lambda a, t: t.pop("entropy.local_context.0.0.shift"),
    "a transposed weight": lambda a, t: t.update(
        {"entropy.parameters_anchor.0.0.weight": t["entropy.parameters_anchor.0.0.weight"].T}
    ),
    "a bias too short": lambda a, t: t.update(
        {"entropy.parameters_anchor.0.0.bias": t["entropy.parameters_anchor.0.0.bias"][:-1]}
    ),
    "float weights": lambda a, t: t.update(
        {"entropy.parameters_anchor.0.0.weight": t["entropy.parameters_anchor.0.0.weight"].float()}
    ),
    "a float in brain format": lambda a, t: t.update({"gain.log_gain": t["gain.log_gain"].bfloat16()[:2]}),
    "an entropy tensor in brain format": lambda a, t: t.update(
        {"entropy.medians": t["entropy.medians"].to(torch.bfloat16)}
    ),
    "a bias of no size": lambda a, t: t.update({"entropy.parameters_anchor.0.0.bias": torch.zeros(0).int()}),
    "a chain too few": lambda a, t: a["entropy"]["chains"].pop("parameters_other.1"),
    "chains of other kinds": lambda a, t: a["entropy"].update(chains=[1, 2]),
    "a layer too few": lambda a, t: layers(a, "parameters_anchor.0").pop(),
    "no layers": lambda a, t: layers(a, "parameters_anchor.0").clear(),
    "a shuffle too many": lambda a, t: layers(a, "hyper_synthesis").append(
        {"kind": "shuffle", "kernel": 1, "padding": 0}
    ),
    "a layer of an unknown kind": lambda a, t: layers(a, "hyper_synthesis")[0].update(kind="recurrent"),
    "a kernel beyond all": lambda a, t: layers(a, "local_context.0")[1].update(kernel=10**9, padding=5 * 10**8),
    "a kernel of none": lambda a, t: layers(a, "local_context.0")[1].update(kernel=0, padding=0),
    "a kernel of other size": lambda a, t: layers(a, "local_context.0")[1].update(kernel=5, padding=2),
    "a padding beyond all": lambda a, t: layers(a, "local_context.0")[1].update(padding=10**9),
    "a layer with more to say": lambda a, t: layers(a, "local_context.0")[1].update(stride=2),
    "other groups": lambda a, t: a["entropy"].update(groups=[16, 32]),
    "groups of other sizes": lambda a, t: a["entropy"].update(groups=[8, 24, 16]),
    "no groups": lambda a, t: a["entropy"].update(groups=[]),
    "a plane that is not there": lambda a, t: a["entropy"].update(plane=False),
    "everything skipped": lambda a, t: a["entropy"].update(skip=64),
    "skip less than nothing": lambda a, t: a["entropy"].update(skip=-1),
    "a frequency of zero": lambda a, t: t["entropy.tables.y.frequencies"].view(-1)[:1].zero_(),
    "frequencies that do not add up": lambda a, t: t["entropy.tables.y.frequencies"].view(-1)[:1].add_(1),
    "a table too few": lambda a, t: t.update({"entropy.tables.y.lows": t["entropy.tables.y.lows"][:-1]}),
    "other medians": lambda a, t: t.update({"entropy.medians": t["entropy.medians"][:-1]}),
    "an index beyond the tables": lambda a, t: t["entropy.parameters_anchor.0.2.high"][:1].fill_(64),
    "bits of no arithmetic": lambda a, t: a["entropy"].update(bits=32),
    "bits of another kind": lambda a, t: a["entropy"].update(bits=[24]),
    "fractional limits": lambda a, t: t.update({LIMITS: t[LIMITS].float()}),
    "limits below nothing": lambda a, t: t[LIMITS][:1].fill_(-1),
    "a limit too few": lambda a, t: t.update({LIMITS: t[LIMITS][:-1]}),
    "no limits, so that sums could reach the bound": lambda a, t: t.pop(LIMITS),
    "limits so high that sums could reach the bound": lambda a, t: t[LIMITS].fill_(2**15),
    "a bias at the bound": lambda a, t: t["entropy.parameters_other.2.1.bias"][:1].fill_(2**24),
    "weights at the bound": lambda a, t: t["entropy.hyper_synthesis.1.weight"][:, :1].fill_(2**15 - 1),
    "activations up to the bound": lambda a, t: t["entropy.hyper_synthesis.0.high"].fill_(2**20),
    "outputs beyond the bound": lambda a, t: t["entropy.parameters_anchor.1.2.high"].fill_(2**25),
    "means beyond what latents hold": lambda a, t: t["entropy.parameters_anchor.1.2.low"][-1:].fill_(-(2**14) - 1),
    "an index below the tables": lambda a, t: t["entropy.parameters_anchor.0.2.low"][:1].fill_(-1),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_forgeries(tiny_weights: Path, tmp_path: Path, how: str) -> None:
    """Parts that do not belong together under hashes that are right are refused before anything is coded."""

    def change(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        FORGERIES[how](about, tensors)

    path = forged(tiny_weights, change, tmp_path / "a.safetensors")
    for load in (weights.load, weights.load_onnx):
        with pytest.raises(CorruptWeights) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_thresholds_must_fit_the_tables(tiny_taco_weights: Path, tmp_path: Path) -> None:
    def change(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        tensors["entropy.thresholds"] = torch.arange(64, dtype=torch.int32)

    with pytest.raises(CorruptWeights, match="thresholds"):
        weights.load(forged(tiny_taco_weights, change, tmp_path / "a.safetensors"))


def test_the_bits_that_a_file_states_are_proven_to_be_enough(tiny_taco_weights: Path, tmp_path: Path) -> None:
    """A file frozen for float64 cannot pass for one whose sums fit into float32."""
    assert "bits" not in read_metadata(tiny_taco_weights)["entropy"]
    path = forged(tiny_taco_weights, lambda about, _: about["entropy"].update(bits=24), tmp_path / "a.safetensors")
    with pytest.raises(CorruptWeights, match=r"hyper_synthesis: transposed layer 0, channel \d+: .* below 2\^24"):
        weights.load(path)


def test_absurd_shapes_cost_nothing(whole: bytes, loads: Callable[[bytes], str]) -> None:
    start, header = header_of(whole)
    for shape in ([2**62], [2**31, 2**31, 2**31], [2**40], [-1], [1.5], "5"):
        changed = copy.deepcopy(header)
        changed["entropy.medians"]["shape"] = shape
        stored = json.dumps(changed).encode()
        stored += b" " * (-len(stored) % 8)
        loads(struct.pack("<Q", len(stored)) + stored + whole[start:])
