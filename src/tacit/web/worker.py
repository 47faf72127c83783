"""The inside of a worker process: one codec, jobs from a pipe, one at a time, until the pipe is closed."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from tacit.errors import TacitError

if TYPE_CHECKING:
    from tacit.codec import Codec

SPINS = "1000"

_codec: Codec | None = None


@dataclass(frozen=True)
class Job:
    """What goes to a worker. threads: that torch may use for it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    threads: int


@dataclass(frozen=True)
class Reply:
    """What comes back: the value, or the error that was raised; and the seconds that it took."""

    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0


def codec() -> Codec:
    """This worker's `tacit.Codec`. Raises: RuntimeError in a process that is no worker."""
    if _codec is None:
        raise RuntimeError("only a worker has a codec")
    return _codec


def main(connection: Connection, setup: Callable[[], None]) -> None:
    """Set up, say so, and work. Ctrl-C and a service manager's SIGTERM go to the whole group of processes: it
    is the server that ends the workers, when their jobs are done."""
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the server is gone
        ready = _reply(setup)
        connection.send_bytes(_pickled(ready))
        while ready.error is None:
            job: Job = pickle.loads(connection.recv_bytes())
            reply = _reply(lambda job=job: _run(job))  # type: ignore[misc]
            connection.send_bytes(_pickled(reply))


def load(model: str) -> None:
    """Load this worker's codec, and what its first job would have to wait for."""
    global _codec
    # Threads of one job that wait for each other: libgomp lets them spin for milliseconds, which is right on a machine
    # of their own. Here other workers want the core, and the one that is waited for may be without.
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    from PIL import Image

    from tacit.codec import Codec

    Image.MAX_IMAGE_PIXELS = None  # the service has a limit of its own, and checks it first
    _codec = Codec(model)
    _codec.decode(_codec.encode(Image.new("RGB", (16, 16)), "a word"))


def _run(job: Job) -> Any:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(job.threads)
    return job.function(*job.args)


def _reply(work: Callable[[], Any]) -> Reply:
    begun = time.perf_counter()
    try:
        return Reply(work(), seconds=time.perf_counter() - begun)
    except Exception as error:
        if not isinstance(error, TacitError):  # a fault of ours: the server's log shall say where
            error.add_note("in a worker:\n" + traceback.format_exc())
        return Reply(error=error, seconds=time.perf_counter() - begun)


def _pickled(reply: Reply) -> bytes:
    try:
        data = pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
        if reply.error is not None:
            pickle.loads(data)
        return data
    except Exception as error:  # a value or an error that cannot travel
        lost = RuntimeError(f"a reply cannot be sent: {error!r}; it was {str(reply.error or type(reply.value))[:500]}")
        return pickle.dumps(Reply(error=lost, seconds=reply.seconds))
