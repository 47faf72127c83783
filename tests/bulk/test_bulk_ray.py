"""Bulk runs on Ray, one of whose workers is killed, or whose driver is. What needs no Ray is in test_bulk.py."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.shards import sample, write_tar
from tacit.bulk import Cluster, Job, Outcome, run
from tacit.bulk.manifest import MANIFEST, TRIES
from tacit.bulk.store import PARTS
from tacit.errors import InvalidInput, TacitError

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

# Ray's own warnings, of which there are some with every release of Python, are not ours to fail for.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)

CLUSTER = Cluster(workers=(1, 1))
PATIENCE = 400  # seconds after which a test that waits for something gives up


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster that is there already, on this machine, and is joined by its address; runs use it because they find
    this process connected. With one processor, to be gentle."""
    from tacit.bulk.cluster import connected

    port, of_clients = _free_port(), _free_port()
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += [f"--ray-client-server-port={of_clients}", "--num-cpus=1", "--object-store-memory=268435456"]
    command += ["--include-dashboard=false", "--disable-usage-stats"]
    # the name of a socket may have 107 characters
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        for name, value in {
            "worker_niceness": "0",
            "AUTH_MODE": "disabled",
            "GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        }.items():
            patch.setenv(f"RAY_{name}", value)
        patch.setenv("OMP_NUM_THREADS", "1")
        with (Path(folder) / "said").open("w+") as said:
            head = subprocess.Popen([*command, f"--temp-dir={folder}"], stdout=said, stderr=said)
            try:
                deadline = time.monotonic() + PATIENCE
                while "Ray runtime started" not in Path(said.name).read_text():
                    assert head.poll() is None, Path(said.name).read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                with connected(Cluster(f"127.0.0.1:{port}")):
                    yield
                assert head.poll() is None, "a cluster that was joined goes on"
            finally:
                head.terminate()
                head.wait(PATIENCE)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def job(tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Jobs with the small model, from `in` to `out`."""
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_weights.parent))

    def make(source: str | None = None, out: str = "out", **options: Any) -> Job:
        return Job(source or str(tmp_path / "in"), str(tmp_path / out), model=str(tiny_weights), **options)

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
                try:
                    super().do_GET()
                except (BrokenPipeError, ConnectionResetError):
                    pass  # who asked is no more

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


def check_whole(folder: Path, keys: set[str], outcome: Outcome) -> None:
    """Each image is there, once, and the manifest says so."""
    assert sorted(images_in(folder)) == sorted(keys)
    assert sum(row["images"] for row in rows(folder)) == outcome.all.images == len(keys)
    for row in rows(folder):
        for name, about in row["files"].items():
            assert (folder / name).stat().st_size == about["bytes"]
    assert (outcome.left, outcome.errors) == (0, {})
    assert not list((folder / PARTS).glob("*"))


def test_a_killed_worker_costs_no_image_and_doubles_none(
    cluster: None, job: Callable[..., Job], tmp_path: Path
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
        outcome = run(job(gate.url, verify=True), CLUSTER, progress=lambda name, now: heard.append(name))
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


def test_a_killed_driver_costs_no_image_and_doubles_none(
    cluster: None, job: Callable[..., Job], tmp_path: Path
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


def test_a_cluster_that_cannot_be_joined_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.bulk.cluster import connected

    def init(**options: Any) -> None:
        raise ConnectionError("Failed to connect to Ray cluster\nat 192.0.2.1:6379")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as server:  # answers, and is no cluster that can be joined
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TacitError, match=r"cluster at 192\.0\.2\.1:6379; .* set RAY_AUTH_MODE=token$"):
            with connected(Cluster(address)):
                raise AssertionError("there is none")
    # where nothing answers, Ray is not asked, which would try for many minutes
    monkeypatch.setattr(ray, "init", lambda **options: time.sleep(PATIENCE))
    for none in (address, f"ray://{address}"):
        with pytest.raises(TacitError, match=rf"^Ray at {none}: nothing answers there \(.*refused\)$"):
            with connected(Cluster(none)):
                raise AssertionError("there is none")


def test_a_machine_without_gpus_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.bulk.cluster import connected

    ended: list[bool] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(True))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(InvalidInput, match=r"0\.25 GPUs for a worker: Ray finds 0"), connected(Cluster(gpus=0.25)):
        raise AssertionError("it would wait")
    assert ended
    with connected(Cluster()):
        pass


def test_termination_is_as_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.bulk.cluster import connected

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: signal.signal(signal.SIGTERM, lambda *what: os._exit(9)))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    with pytest.raises(KeyboardInterrupt), connected(Cluster()):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def _alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
