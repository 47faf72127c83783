"""The Ray cluster that a run takes place on: a local one that ends with the run, or one that is joined."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tacit.errors import InvalidInput, MissingExtra, TacitError

STARTS = 3  # of a local cluster: Ray waits 30 seconds for itself, which a busy machine may need more of
OBJECTS = 256 << 20  # bytes of a local cluster's object store: only descriptions and reports pass through it
PATIENCE = 20  # seconds in which a cluster that is there accepts a connection


@dataclass(frozen=True)
class Cluster:
    """Where a run takes place, and what part of it a worker takes.

    Raises:
        InvalidInput: A number is out of its range.
    """

    address: str | None = None
    """The address of a running cluster ("auto": the one of this machine); None for a local one that ends with the
    run."""
    workers: tuple[int, int] = (1, 1)
    """The least and the most workers; the pool grows and shrinks between them."""
    cpus: int = 1
    """CPUs of each worker, at least 1."""
    gpus: float = 0.0
    """GPUs of each worker: a part of one, or whole ones. Four workers of a quarter share one GPU."""

    def __post_init__(self) -> None:
        low, high = self.workers
        if not 1 <= low <= high:
            raise InvalidInput(f"workers must be at least 1, and the most not below the least, got {low}-{high}")
        if self.cpus < 1:
            raise InvalidInput(f"CPUs of a worker must be at least 1, got {self.cpus}")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise InvalidInput(f"GPUs of a worker must be a part of one or whole ones, got {self.gpus:g}")


@contextmanager
def connect(cluster: Cluster) -> Iterator[None]:
    """Connect this process to Ray as long as the block runs.

    A cluster that this process is connected to already is used and left as it is.

    Raises:
        MissingExtra: Ray is not installed.
        InvalidInput: This machine has too few GPUs.
        TacitError: There is no cluster at the address, or none can be started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Otherwise Ray's C++ part warns on standard error of what is usual, and so does its Python part of the next one.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("bulk runs need Ray: pip install 'tacit[bulk]'") from error
    if ray.is_initialized():
        yield
        return
    termination = signal.getsignal(signal.SIGTERM)  # Ray has a handler of its own, and leaves it
    options: dict[str, Any] = {"address": cluster.address or "local"}
    if cluster.address is None:
        cpus = cluster.workers[1] * cluster.cpus
        options |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECTS}
    else:
        _check_answers(cluster.address)
    for attempt in range(1, STARTS + 1):
        try:
            with _quiet_standard_error():  # where it reports that it has understood the level of its log
                ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
            break
        except Exception as error:  # a plain Exception among them, where it takes too long to start
            ray.shutdown()
            if attempt == STARTS or cluster.address is not None:
                name, hint = "this machine", ""
                if cluster.address is not None:
                    name, hint = cluster.address, "; where the cluster asks for a token, set RAY_AUTH_MODE=token"
                raise TacitError(f"Ray at {name}: {' '.join(str(error).split())}{hint}") from error
    try:
        resources: Any = ray.cluster_resources  # has no types
        gpus = float(resources().get("GPU", 0))
        if cluster.address is None and gpus < cluster.gpus:  # else it would wait for one without end
            raise InvalidInput(
                f"GPUs of a worker must be at most those of this machine, {gpus:g}, got {cluster.gpus:g}"
            )
        _on_termination(signal.default_int_handler)  # as Ctrl-C; Ray's ends the process there and then
        yield
    finally:
        ray.shutdown()
        _on_termination(termination)


def _on_termination(handler: Any) -> None:
    """Set the handler of SIGTERM, as service managers and batch systems send it; only the main thread may."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)


def _check_answers(address: str) -> None:
    """Raise TacitError where nothing answers at an address: Ray itself would try for a quarter of an hour, silently."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return  # "auto", or a name that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise TacitError(f"Ray at {address}: nothing answers there ({error})") from error


@contextmanager
def _quiet_standard_error() -> Iterator[None]:
    """Discard the standard error of the whole process, not of Python alone."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
