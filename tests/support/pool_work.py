"""What the pool's tests have workers do; in a module of its own, because workers import it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path


class Unsendable(Exception):
    """An error that cannot be made again from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def nothing() -> None:
    """A setup."""


def fail() -> None:
    """A setup that fails."""
    raise ValueError("no weights")


def die() -> None:
    """As a segmentation fault, or the system's out-of-memory killer."""
    os._exit(9)


def die_once(marker: Path) -> int:
    """Die, but not the second time."""
    if not marker.exists():
        marker.touch()
        die()
    return os.getpid()


def sleep(seconds: float, done: Path | None = None) -> int:
    """Take some time, and say when it is over."""
    time.sleep(seconds)
    if done is not None:
        done.touch()
    return os.getpid()


def priority() -> tuple[int, int]:
    """The process, and the niceness of what runs in it."""
    return os.getpid(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def unsendable() -> None:
    """Raise what cannot travel."""
    raise Unsendable("a", "b")


def faulty() -> None:
    """Raise what no caller expects."""
    raise KeyError("oops")


def join(*parts: str, by: str = "") -> str:
    """Arguments of both kinds."""
    return by.join(parts)
