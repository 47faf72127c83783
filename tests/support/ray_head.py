"""A Ray cluster of one node on this machine, in processes of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PATIENCE = 400
"""Seconds after which a test that waits for something gives up."""


@contextmanager
def ray_head(weights: Path) -> Iterator[str]:
    """Run a cluster with one processor, whose processes find weights in a folder, and yield its address."""
    port, client_port = free_port(), free_port()
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += [f"--ray-client-server-port={client_port}", "--num-cpus=1", "--object-store-memory=268435456"]
    command += ["--include-dashboard=false", "--disable-usage-stats"]
    settings = {
        "worker_niceness": "0",  # else workers yield to everything else on the machine
        "AUTH_MODE": "disabled",
        "GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    }
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())  # who joins the cluster needs the same
        for name, value in settings.items():
            patch.setenv(f"RAY_{name}", value)
        # In /tmp: the name of a socket may have 107 characters.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="r", dir="/tmp"))
        log = stack.enter_context((Path(folder) / "log").open("w+"))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TACIT_WEIGHTS": str(weights)}
        head = subprocess.Popen([*command, f"--temp-dir={folder}"], stdout=log, stderr=log, env=environment)
        try:
            deadline = time.monotonic() + PATIENCE
            while "Ray runtime started" not in Path(log.name).read_text():
                assert head.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
            assert head.poll() is None, "a cluster that was joined goes on"
        finally:
            head.terminate()
            head.wait(PATIENCE)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
