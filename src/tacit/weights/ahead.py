"""Loading a model ahead: in a thread, beside the imports and the files that a program has before it codes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tacit.engine.threads import current_threads, thread_count
from tacit.weights.catalogue import describe
from tacit.weights.contents import Contents, read_contents

if TYPE_CHECKING:
    from tacit.engine.onnx_model import OnnxModel, Work

T = TypeVar("T")

_begun: dict[Path, Future[OnnxModel]] = {}


def load_ahead(path: Path, work: Work, threads: int | None) -> None:
    """Begin to load what work needs of a weights file, for the `loaded_ahead` that follows; errors are left to it.

    Does nothing where the work may take one thread only, or the file has no graphs.

    Args:
        path: The weights file.
        work: The work.
        threads: The threads that the work will take; None for one for each core.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file is no weights file of tacit.
        InvalidInput: The installed ONNX Runtime is too old.
    """
    if path in _begun or (threads or current_threads()) == 1 or not describe(path).graphs:
        return
    contents: Future[Contents] = Future()
    _beside(contents, lambda: read_contents(path))
    # Imports hold the interpreter's lock, and reading, hashing and the making of sessions do not: with its imports
    # behind it, the thread runs beside those of the caller.
    from tacit.engine.sessions import check_version
    from tacit.weights.graphs import load_onnx

    check_version()

    def load() -> OnnxModel:
        return load_onnx(path, read=lambda _: contents.result())

    def make(model: OnnxModel) -> None:
        with thread_count(threads):
            model.make_sessions(work)

    _begun[path] = Future()
    _beside(_begun[path], load, make)


def loaded_ahead(path: Path) -> OnnxModel | None:
    """Return the model that was begun ahead, to one caller; None if none was, or if that failed."""
    future = _begun.pop(path, None)
    return None if future is None or future.exception() is not None else future.result()


def _beside(future: Future[T], work: Callable[[], T], afterwards: Callable[[T], None] = lambda _: None) -> None:
    """Do work in a thread, and then what follows from its result."""

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
            afterwards(result)

    # No daemon: the interpreter must not end while a session is made.
    threading.Thread(target=run, name="tacit-ahead").start()
