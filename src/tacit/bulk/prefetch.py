"""Making items in a thread of its own before they are needed, up to a bound."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def prefetch(items: Iterable[T], bound: int = 1) -> Iterator[Iterator[T]]:
    """Make items in a thread of its own while earlier ones are worked on.

    When the block ends, the thread has ended.

    Args:
        items: What the thread goes through.
        bound: How many finished items may wait; one more is in the making.

    Yields:
        The items in order. An exception while an item is made is raised when it is taken.
    """
    waiting: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(bound)
    over = threading.Event()

    def put(kind: str, value: T | BaseException | None) -> bool:
        while not over.is_set():
            try:
                waiting.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # raised again where the item is taken
            put("error", error)

    def take() -> Iterator[T]:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if isinstance(value, BaseException):
                raise value
            yield value  # type: ignore[misc]

    thread = threading.Thread(target=make, name="tacit-prefetch", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        over.set()
        thread.join()
