"""The main loop of a worker process: jobs from a pipe, one at a time, until the pipe is closed."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from tacit.engine.threads import thread_count
from tacit.errors import TacitError

BACKGROUND_NICENESS = 10  # above the niceness of the service


@dataclass(frozen=True)
class WorkerJob:
    """What the server sends to a worker."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    threads: int  # that the networks may use
    background: bool = False  # run at low priority, because somebody else is waiting for other jobs


@dataclass(frozen=True)
class WorkerReply:
    """What a worker sends back."""

    value: Any = None
    error: Exception | None = None  # what the job raised, instead of a value
    seconds: float = 0.0  # that the job took


def main(connection: Connection, setup: Callable[[], None]) -> None:
    """Run `setup`, report that it is done, and then run jobs until the server closes the connection.

    Ctrl-C and a service manager's SIGTERM reach every process of the group. They are ignored here, because the server
    ends its workers itself, once their jobs are done.
    """
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the server has ended
        ready = _reply(setup)
        connection.send_bytes(_pickled(ready))
        while ready.error is None:
            job: WorkerJob = pickle.loads(connection.recv_bytes())
            run = _run_in_background if job.background else _run
            reply = _reply(lambda job=job, run=run: run(job))  # type: ignore[misc]
            connection.send_bytes(_pickled(reply))


def _run(job: WorkerJob) -> Any:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(job.threads)
    with thread_count(job.threads):
        return job.function(*job.args)


def _run_in_background(job: WorkerJob) -> Any:
    """Run a job in a thread of low priority, where the system can.

    Threads that libraries start inherit the priority. The process as a whole could not take a lower priority back.
    """
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        with contextlib.suppress(AttributeError, OSError):  # not every system has priorities of threads
            thread_id = threading.get_native_id()
            niceness = os.getpriority(os.PRIO_PROCESS, thread_id) + BACKGROUND_NICENESS
            os.setpriority(os.PRIO_PROCESS, thread_id, niceness)
        try:
            result.append(_run(job))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="background")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def _reply(work: Callable[[], Any]) -> WorkerReply:
    start = time.perf_counter()
    try:
        return WorkerReply(work(), seconds=time.perf_counter() - start)
    except Exception as error:
        if not isinstance(error, TacitError):  # a bug: the server's log must say where it happened
            error.add_note("in a worker:\n" + traceback.format_exc())
        return WorkerReply(error=error, seconds=time.perf_counter() - start)


def _pickled(reply: WorkerReply) -> bytes:
    try:
        data = pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
        if reply.error is not None:
            pickle.loads(data)
        return data
    except Exception as error:  # a value or an error that cannot be pickled
        content = str(reply.error or type(reply.value))[:500]
        lost = RuntimeError(f"a reply cannot be sent: {error!r}; it was {content}")
        return pickle.dumps(WorkerReply(error=lost, seconds=reply.seconds))
