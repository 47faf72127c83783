"""Jobs for the worker pool's tests, in a module of their own because workers import it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path


class Unsendable(Exception):
    """An error that cannot be created again from its arguments, and so not be unpickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def nothing() -> None:
    """Set a worker up without doing anything."""


def fail() -> None:
    """Fail to set a worker up."""
    raise ValueError("no weights")


def die() -> None:
    """End the process, as a segmentation fault or the system's out-of-memory killer would."""
    os._exit(9)


def die_once(marker: Path) -> int:
    """End the process the first time, and return its id the second time."""
    if not marker.exists():
        marker.touch()
        die()
    return os.getpid()


def sleep(seconds: float, done: Path | None = None) -> int:
    """Take some time, then create a file if one is named, and return the process id."""
    time.sleep(seconds)
    if done is not None:
        done.touch()
    return os.getpid()


def priority() -> tuple[int, int]:
    """Return the process id, and the niceness of the thread that runs this."""
    return os.getpid(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def unsendable() -> None:
    """Raise an error that cannot be sent."""
    raise Unsendable("a", "b")


def faulty() -> None:
    """Raise an error that no caller expects."""
    raise KeyError("oops")


def join(*parts: str, by: str = "") -> str:
    """Return the parts joined, to use arguments of both kinds."""
    return by.join(parts)
