"""Clusters: their settings, and how this process joins one."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

import pytest

from support.ray_head import PATIENCE
from tacit.bulk import Cluster
from tacit.bulk.cluster import connect
from tacit.errors import InvalidInput, TacitError

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

# Ray's own warnings, of which there are some with every release of Python, are not ours to fail for.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.mark.parametrize(
    "options", [{"workers": (0, 1)}, {"workers": (3, 2)}, {"cpus": 0}, {"gpus": 1.5}, {"gpus": -1}]
)
def test_clusters_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Cluster(**options)


def test_a_cluster_that_cannot_be_joined_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: Any) -> None:
        raise ConnectionError("Failed to connect to Ray cluster\nat 192.0.2.1:6379")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as server:  # answers, and is no cluster that can be joined
        address = f"127.0.0.1:{server.getsockname()[1]}"
        joined = pytest.raises(TacitError, match=r"cluster at 192\.0\.2\.1:6379; .* set RAY_AUTH_MODE=token$")
        with joined, connect(Cluster(address)):
            raise AssertionError("there is none")
    # where nothing answers, Ray is not asked, which would try for many minutes
    monkeypatch.setattr(ray, "init", lambda **options: time.sleep(PATIENCE))
    for none in (address, f"ray://{address}"):
        joined = pytest.raises(TacitError, match=rf"^Ray at {none}: nothing answers there \(.*refused\)$")
        with joined, connect(Cluster(none)):
            raise AssertionError("there is none")


def test_a_machine_without_gpus_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(True))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with (
        pytest.raises(InvalidInput, match=r"GPUs of a worker must be at most those of this machine, 0, got 0\.25"),
        connect(Cluster(gpus=0.25)),
    ):
        raise AssertionError("it would wait")
    assert ended
    with connect(Cluster()):
        pass


def test_termination_is_as_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: signal.signal(signal.SIGTERM, lambda *what: os._exit(9)))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    with pytest.raises(KeyboardInterrupt), connect(Cluster()):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
