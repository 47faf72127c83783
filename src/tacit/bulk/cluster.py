"""Ray: a local cluster that is started and stopped, or one that is joined; and units given to a pool of workers."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tacit.bulk.job import Job
from tacit.bulk.manifest import Entry
from tacit.bulk.unit import Unit
from tacit.errors import InvalidInput, MissingExtra, TacitError

if TYPE_CHECKING:
    from tacit.bulk.engine import Engine

STARTS = 3  # of a local cluster: Ray waits 30 seconds for itself, which a busy machine may need more of
OBJECTS = 256 << 20  # bytes of a local cluster's object store: only descriptions and reports pass through it
ANSWER = 20  # seconds in which a cluster that is there takes a connection
LOST_AT_START = 3  # workers in a row that may be lost before they have their model
UNITS_AT_ONCE = 4096  # given to Ray Data together: each is a block of its own


@dataclass(frozen=True)
class Cluster:
    """Where a run takes place, and what of it a worker takes.

    address: of a running cluster ("auto": the one of this machine); None for a local one that ends with the run.
    workers: the least and the most; the pool grows and shrinks between them. cpus, gpus: of each worker; four workers
    of a quarter share one GPU.
    """

    address: str | None = None
    workers: tuple[int, int] = (1, 1)
    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.workers
        if not 1 <= low <= high:
            raise InvalidInput(f"workers {low}-{high}: at least 1 is needed, and the second number not below the first")
        if self.cpus < 1 or self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise InvalidInput(
                f"{self.cpus} CPUs and {self.gpus} GPUs for a worker: 1 or more, and a part of one GPU or whole ones"
            )


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Ray, as long as the block runs; one that this process is connected to already is used and left as it is.

    Raises: MissingExtra; InvalidInput, where this machine has too few GPUs; TacitError, where there is no cluster at
    the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault(
        "RAY_BACKEND_LOG_LEVEL", "fatal"
    )  # else its C++ part warns on standard error of what is usual
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a warning, too
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("bulk runs need Ray: pip install 'tacit[bulk]'") from error
    if ray.is_initialized():
        yield
        return
    ended = signal.getsignal(signal.SIGTERM)  # Ray has a handler of its own, and leaves it
    options: dict[str, Any] = {"address": cluster.address or "local"}
    if cluster.address is None:
        cpus = cluster.workers[1] * cluster.cpus
        options |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECTS}
    else:
        _check_answers(cluster.address)
    for attempt in range(1, STARTS + 1):
        try:
            with _standard_error_to_nowhere():  # where it says that it has understood the level of its log
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
        there = float(resources().get("GPU", 0))
        if cluster.address is None and there < cluster.gpus:  # else it would wait for one without end
            raise InvalidInput(f"{cluster.gpus:g} GPUs for a worker: Ray finds {there:g} on this machine")
        _on_termination(signal.default_int_handler)  # as Ctrl-C; Ray's ends the process there and then
        yield
    finally:
        ray.shutdown()
        _on_termination(ended)


def _on_termination(handler: Any) -> None:
    """What a service manager's or batch system's SIGTERM does; Python allows it in the main thread alone."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)


def _check_answers(address: str) -> None:
    """Ray itself would try again for a quarter of an hour, without a word. Raises: TacitError."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return  # "auto", or a name that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise TacitError(f"Ray at {address}: nothing answers there ({error})") from error


@contextmanager
def _standard_error_to_nowhere() -> Iterator[None]:
    """Of the whole process, not of Python alone."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def run_units(units: Sequence[Unit], job: Job, cluster: Cluster) -> Generator[tuple[str, Entry | str], None, None]:
    """Each unit's name with its entry, or why there is none, as they end. To be left early by closing it.

    A unit whose worker is lost is given to another one.

    Raises: TacitError, where no worker can begin, or the cluster is lost.
    """
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a shard may take as long as it takes
    context.max_consecutive_actor_init_deaths = LOST_AT_START
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it logs as errors is raised, too
    low, high = cluster.workers
    for start in range(0, len(units), UNITS_AT_ONCE):
        some = units[start : start + UNITS_AT_ONCE]
        rows = [{"unit": pickle.dumps(unit)} for unit in some]
        size = min(len(some), high)
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=min(low, size), max_size=size),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus or None,
        )
        try:
            for batch in done.iter_batches(batch_size=None, prefetch_batches=0):
                for report in batch["report"]:
                    name, result = pickle.loads(report)
                    if isinstance(result, TacitError):
                        raise result
                    yield name, result
        except ray.exceptions.RayError as error:
            raise TacitError(f"Ray has given up: {' '.join(str(error).split())[:500]}") from error


class _Worker:
    """Holds a model, and does one unit at a time."""

    def __init__(self, job: Job) -> None:
        from tacit.bulk.engine import engine

        self.job = job
        self.engine: Engine | TacitError
        try:
            self.engine = engine(job)
        except TacitError as error:  # told with the first unit: Ray would say it in a hundred lines
            self.engine = error
        except Exception as error:
            self.engine = TacitError(f"a worker cannot begin: {type(error).__name__}: {error}")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        from tacit.bulk.convert import attempt

        reports = []
        for row in batch["unit"]:
            unit: Unit = pickle.loads(row)
            result = self.engine if isinstance(self.engine, TacitError) else attempt(unit, self.job, self.engine)
            reports.append(pickle.dumps((unit.name, result)))
        return {"report": reports}
