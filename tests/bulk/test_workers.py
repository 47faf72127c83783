"""Workers on Ray, one of whom is killed, or whose driver is."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.bulk_runner import Runner
from support.ray_head import PATIENCE
from support.shards import sample, write_tar
from tacit.bulk import BulkJob, Cluster, RunOutcome, run
from tacit.bulk.cluster import connect
from tacit.bulk.job import StorageKind
from tacit.bulk.manifest import MANIFEST, TRIES
from tacit.bulk.store import PARTS
from tacit.bulk.unit import WorkUnit
from tacit.bulk.workers import Worker
from tacit.errors import TacitError

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

# Ray's own warnings, of which there are some with every release of Python, are not ours to fail for.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


CLUSTER = Cluster(workers=(1, 1))


@pytest.fixture(scope="module")
def cluster(ray_address: str) -> Iterator[None]:
    """Connects this process to Ray; `run` then uses that cluster, whatever it is told."""
    with connect(Cluster(ray_address)):
        yield


@pytest.fixture
def job(tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BulkJob]:
    """Jobs with the small model, from `in` to `out`."""
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_weights.parent))

    def make(source: str | None = None, out: str = "out", **options: Any) -> BulkJob:
        return BulkJob(
            source=source or str(tmp_path / "in"), destination=str(tmp_path / out), model=str(tiny_weights), **options
        )

    return make


class Gate:
    """A folder over HTTP, where one file is held back until the gate opens; then it is as the others are."""

    def __init__(self, folder: Path, held: str) -> None:
        gate = self
        self.asked, self.open = threading.Event(), threading.Event()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith(held):
                    gate.asked.set()
                    gate.open.wait(PATIENCE)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client is gone
                    super().do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self) -> Gate:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.open.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def shards(folder: Path, count: int, images: int = 3) -> set[str]:
    """Writes so many shards; returns the keys of all samples."""
    keys = set()
    for n in range(count):
        some = [f"{n:02}{i:02}" for i in range(images)]
        write_tar(folder / f"{n:02}.tar", {k: v for key in some for k, v in sample(key, int(key)).items()})
        keys |= set(some)
    return keys


def images_in(folder: Path) -> list[str]:
    """The keys of all images of all shards there, those of each as often as it is there."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found += [Path(name).stem for name in tar.getnames() if name.endswith(".tacit")]
    return found


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


def check_whole(folder: Path, keys: set[str], outcome: RunOutcome) -> None:
    """Each image is there, once, and the manifest says so."""
    assert sorted(images_in(folder)) == sorted(keys)
    assert sum(row["images"] for row in rows(folder)) == outcome.all.images == len(keys)
    for row in rows(folder):
        for name, about in row["files"].items():
            assert (folder / name).stat().st_size == about["bytes"]
    assert (outcome.left, outcome.errors) == (0, {})
    assert not list((folder / PARTS).glob("*"))


@pytest.mark.slow
def test_a_killed_worker_costs_no_image_and_doubles_none(
    cluster: None, job: Callable[..., BulkJob], tmp_path: Path
) -> None:
    keys = shards(tmp_path / "in", 4)
    marker = tmp_path / "out" / TRIES / "02"
    killed: list[int] = []
    heard: list[str] = []
    with Gate(tmp_path / "in", "02.tar") as gate:

        def kill() -> None:
            assert gate.asked.wait(PATIENCE)
            pid = int(marker.read_text().split()[1])
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            gate.open.set()

        killer = threading.Thread(target=kill)
        killer.start()
        outcome = run(job(gate.url, verify=True), CLUSTER, on_progress=lambda name, now: heard.append(name))
        killer.join()
        assert killed
        assert killed != [os.getpid()]
        check_whole(tmp_path / "out", keys, outcome)
        assert sorted(heard) == ["00", "01", "02", "03"]
        assert outcome.now.verified == outcome.now.captions == len(keys)
        assert {"read", "load", "code", "write", "verify", "measure", "wall"} <= outcome.now.spent.keys()
        assert outcome.now.memory > 1 << 20
        assert outcome.now.lost == 1
        # and there is nothing to be done again
        outcome = run(job(gate.url), CLUSTER)
        assert (outcome.now.shards, outcome.all.shards) == (0, 4)


@pytest.mark.slow
def test_a_killed_driver_costs_no_image_and_doubles_none(
    cluster: None, job: Callable[..., BulkJob], tmp_path: Path
) -> None:
    keys = shards(tmp_path / "in", 3)
    out = tmp_path / "out"
    with Gate(tmp_path / "in", "02.tar") as gate:
        code = f"import sys; from tacit.cli import main; sys.exit(main(['bulk', {gate.url!r}, {str(out)!r}, '-j', '1', "
        code += f"'-m', {job().model!r}]))"
        driver = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert gate.asked.wait(PATIENCE), f"the driver's exit status is {driver.poll()}"
            worker = int((out / TRIES / "02").read_text().split()[1])
            deadline = time.monotonic() + PATIENCE
            while len(list((out / "_tacit" / "shards").glob("*.json"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            driver.send_signal(signal.SIGKILL)
            said = driver.communicate()
        deadline = time.monotonic() + PATIENCE
        while _alive(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(worker), "the local cluster has outlived its driver"
        assert not (out / MANIFEST).exists(), said
        done = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
        assert sorted(done) == ["00.tar", "01.tar"]
        gate.open.set()
        outcome = run(job(gate.url), CLUSTER)
    assert (outcome.now.shards, outcome.all.shards) == (1, 3)
    assert all((out / name).stat().st_mtime_ns == changed for name, changed in done.items())
    check_whole(out, keys, outcome)


def _alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("option", ["text_encoder", "finder"])
def test_a_worker_that_cannot_begin_says_why(runner: Runner, tmp_path: Path, option: str) -> None:
    worker = Worker(runner.job(tmp_path, tmp_path / "out", **{option: "nosuch"}))
    (report,) = worker({"unit": [pickle.dumps(WorkUnit("0", StorageKind.TAR, {}))]})["report"]
    name, problem = pickle.loads(report)
    assert name == "0"
    assert isinstance(problem, TacitError)
    assert "nosuch" in str(problem)
