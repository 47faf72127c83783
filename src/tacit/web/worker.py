"""The inside of a worker process: one codec, jobs from a pipe, one at a time, until the pipe is closed."""

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
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from tacit.errors import TacitError

if TYPE_CHECKING:
    from tacit.codec import Codec

SPINS = "1000"
NICE = 10  # of what is done aside
CODECS = 4  # beside the first, of other models or options

_codec: Codec | None = None
_text_encoder: str | None = None


@dataclass(frozen=True)
class Job:
    """What goes to a worker. threads: that torch may use for it. aside: it shall not hold up what people wait for."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    threads: int
    aside: bool = False


@dataclass(frozen=True)
class Reply:
    """What comes back: the value, or the error that was raised; and the seconds that it took."""

    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0


def codec(model: str | None = None, *, word_weights: bool = False, steer: float | None = None) -> Codec:
    """This worker's `tacit.Codec`, or the one for another model's weights file, and with these options of `Codec`; once
    loaded, it stays. It is for one job at a time: the next may steer it elsewhere.

    Raises: RuntimeError in a process that is no worker; what `Codec` raises.
    """
    from tacit.codec import DEFAULT_STEER

    if _codec is None:
        raise RuntimeError("only a worker has a codec")
    found = _codec if model is None and not word_weights else _other(model or str(_codec.path), word_weights)
    found.steer = DEFAULT_STEER if steer is None else steer
    return found


@lru_cache(maxsize=CODECS)
def _other(model: str, word_weights: bool) -> Codec:
    from tacit.codec import Codec

    assert _codec is not None
    own = model == str(_codec.path)  # whose text encoder the operator may have named
    return Codec(model, word_weights=word_weights, text_encoder=_text_encoder if own else None)


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
            run = _run_aside if job.aside else _run
            reply = _reply(lambda job=job, run=run: run(job))  # type: ignore[misc]
            connection.send_bytes(_pickled(reply))


def load(model: str, text_encoder: str | None = None) -> None:
    """Load this worker's codec, and what its first job would have to wait for."""
    global _codec, _text_encoder
    # Threads of one job that wait for each other: libgomp lets them spin for milliseconds, which is right on a machine
    # of their own. Here other workers want the core, and the one that is waited for may be without.
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    from PIL import Image

    from tacit.codec import Codec

    Image.MAX_IMAGE_PIXELS = None  # the service has a limit of its own, and checks it first
    _codec, _text_encoder = Codec(model, text_encoder=text_encoder), text_encoder
    _codec.decode(_codec.encode(Image.new("RGB", (16, 16)), "a word"))


def _run(job: Job) -> Any:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(job.threads)
    return job.function(*job.args)


def _run_aside(job: Job) -> Any:
    """Where the system can, in a thread of low priority, which the threads that libraries start inherit. A process
    could not take its own back."""
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        with contextlib.suppress(AttributeError, OSError):  # not on every system
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            result.append(_run(job))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="aside")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


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
