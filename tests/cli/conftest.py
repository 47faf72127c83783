"""Fixtures of the command line's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

import tacit.codec
from support.bulk_runner import engines, runner, without_ray
from support.fake_codec import FakeCodec
from support.tiny_blip import tiny_blip

__all__ = ["engines", "runner", "tiny_blip", "without_ray"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCodec]:
    """The class that stands in for `tacit.codec.Codec`."""
    codec = type("Codec", (FakeCodec,), {"made": [], "calls": [], "before": staticmethod(lambda: None)})
    monkeypatch.setattr(tacit.codec, "Codec", codec)
    monkeypatch.setattr("tacit.weights.ahead.load_ahead", lambda *arguments: None)
    return codec


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
