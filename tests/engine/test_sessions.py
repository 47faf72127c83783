"""ONNX Runtime runs graphs, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit import weights
from tacit.engine import sessions as sessions_module
from tacit.engine.sessions import Sessions
from tacit.errors import CorruptWeights

PROGRAM = """
from tacit.engine import sessions
import onnxruntime
onnxruntime.get_available_providers()
"""


def test_nothing_is_written_into_the_home_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    assert os.listdir(tmp_path) == []


@pytest.fixture
def sessions(tiny_weights: Path) -> Sessions:
    return weights.load_onnx(tiny_weights, threads=2).sessions


def test_prepared_sessions_are_made_beside_the_caller(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    makers: dict[str, threading.Thread] = {}
    make = sessions._make

    def noted(name: str, threads: int) -> Any:
        makers[name] = threading.current_thread()
        return make(name, threads)

    monkeypatch.setattr(sessions, "_make", noted)
    sessions.prepare(["synthesis", "hyper_analysis"])
    y = np.zeros((1, 48, 4, 4), np.float32)
    outputs = sessions.run("hyper_analysis", {"y": y, "quality": np.full((1, 1, 1), 50, np.float32)}, ["scaled"])
    assert outputs[0].shape == y.shape
    sessions_module._wait_for_makers()
    assert threading.current_thread() is not makers["synthesis"]
    assert sorted(makers) == ["hyper_analysis", "synthesis"]  # each once
    sessions.prepare(["synthesis"])
    assert not sessions_module._makers


def test_one_thread_prepares_nothing(sessions: Sessions) -> None:
    sessions.threads = 1
    sessions.prepare(["synthesis"])
    assert not sessions_module._makers
    assert not sessions._made


def test_a_damaged_graph_is_reported_where_it_is_run(sessions: Sessions) -> None:
    sessions._graphs = {**sessions._graphs, "synthesis": b"no graph"}
    sessions.prepare(["synthesis"])
    sessions_module._wait_for_makers()
    for _ in range(2):
        with pytest.raises(CorruptWeights, match="graph synthesis cannot be loaded"):
            sessions.run("synthesis", {}, ["pixels"])


def test_released_sessions_are_made_again(sessions: Sessions) -> None:
    inputs = {"y": np.zeros((1, 48, 4, 4), np.float32), "quality": np.full((1, 1, 1), 50, np.float32)}
    before = sessions.run("hyper_analysis", inputs, ["scaled"])
    sessions.release()
    assert not sessions._made
    assert np.array_equal(sessions.run("hyper_analysis", inputs, ["scaled"])[0], before[0])
