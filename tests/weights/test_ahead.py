"""Models are loaded ahead, in threads, and what fails there is said where the model is needed."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from support.small_models import with_small_synthesis
from tacit import weights
from tacit.codec import Codec
from tacit.engine import sessions as sessions_module
from tacit.engine.sessions import Sessions
from tacit.errors import CorruptWeights
from tacit.weights.ahead import load_ahead, loaded_ahead


def wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "tacit-ahead":
            thread.join()


def test_the_codec_takes_what_was_loaded_ahead(
    tiny_weights: Path, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: dict[str, str] = {}
    make = Sessions._make

    def noted(sessions: Sessions, name: str, threads: int) -> object:
        makers[name] = threading.current_thread().name
        return make(sessions, name, threads)

    data = codec.encode(np.zeros((20, 30, 3), np.uint8))
    expected = np.asarray(codec.decode(data))
    monkeypatch.setattr(Sessions, "_make", noted)
    load_ahead(tiny_weights, "decode", 2)
    wait()
    assert list(makers)[:2] == ["hyper", "anchor.0"]  # in the order in which they are needed
    assert list(makers)[-1] == "synthesis"
    monkeypatch.setattr(weights, "load_onnx", None)
    other = Codec(tiny_weights, engine="onnx", threads=2)
    assert np.array_equal(np.asarray(other.decode(data)), expected)
    assert "hyper_analysis" not in makers
    assert set(makers.values()) == {"tacit-ahead"}
    assert loaded_ahead(tiny_weights) is None  # it has been taken


def test_for_reduced_images_the_first_groups_are_made_ahead(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_small_synthesis(tiny_weights, tmp_path)
    data = Codec(path, engine="onnx").encode(np.zeros((40, 64, 3), np.uint8))
    makers: dict[str, str] = {}
    make = Sessions._make

    def noted(sessions: Sessions, name: str, threads: int) -> object:
        makers[name] = threading.current_thread().name
        return make(sessions, name, threads)

    monkeypatch.setattr(Sessions, "_make", noted)
    load_ahead(path, "reduce", 2)
    wait()
    assert list(makers) == ["hyper", "anchor.0", "other.0", "anchor.1", "other.1", "small_synthesis"]
    assert Codec(path, engine="onnx", threads=2).decode(data, max_side=16).size == (16, 10)
    assert set(makers.values()) == {"tacit-ahead"}


def test_a_damaged_small_synthesis_is_reported_by_the_codec(tiny_weights: Path, tmp_path: Path) -> None:
    path = with_small_synthesis(tiny_weights, tmp_path)
    data = Codec(path, engine="onnx").encode(np.zeros((40, 64, 3), np.uint8))
    (own,) = (tmp_path / "small").iterdir()
    own.write_bytes(own.read_bytes()[:-1])
    load_ahead(path, "reduce", 2)
    wait()
    codec = Codec(path, engine="onnx", threads=2)
    with pytest.raises(CorruptWeights, match=own.name):
        codec.decode(data, max_side=16)
    assert codec.decode(data).size == (64, 40)


def test_one_thread_loads_nothing_ahead(tiny_weights: Path) -> None:
    load_ahead(tiny_weights, "decode", 1)
    assert loaded_ahead(tiny_weights) is None


def test_damage_is_reported_by_the_codec(tiny_weights: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    data = bytearray(tiny_weights.read_bytes())
    data[-5] ^= 1
    damaged.write_bytes(data)
    load_ahead(damaged, "encode", 2)
    with pytest.raises(CorruptWeights, match="hash must be"):
        Codec(damaged, engine="onnx").encode(np.zeros((20, 30, 3), np.uint8))
    damaged.unlink()
    wait()


def test_prepare_leaves_what_is_coming_to_its_maker(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = weights.load_onnx(tiny_weights, threads=2).sessions
    begun, go_on = threading.Event(), threading.Event()
    make = sessions._make

    def slow(name: str, threads: int) -> object:
        begun.set()
        assert go_on.wait(10)
        return make(name, threads)

    monkeypatch.setattr(sessions, "_make", slow)
    maker = threading.Thread(target=sessions.make, args=((["hyper", "synthesis"], False),))
    maker.start()
    assert begun.wait(10)
    sessions.prepare(["synthesis"])
    assert sessions_module._makers == {maker}
    go_on.set()
    maker.join()
    assert not sessions._coming
    assert sorted(name for name, _ in sessions._made) == ["hyper", "synthesis"]
