"""Reading and decoding ahead of the work, in a thread, as far as a bound allows and no further."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ahead(items: Iterable[T], bound: int = 1) -> Iterator[Iterator[T]]:
    """The items, made in a thread of their own while earlier ones are worked on: at most `bound` wait, and one is in
    the making. What making them raises is raised where they are taken. When the block ends, the thread has ended.
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
        except BaseException as error:  # the taker's to deal with
            put("error", error)

    def taken() -> Iterator[T]:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if isinstance(value, BaseException):
                raise value
            yield value  # type: ignore[misc]

    thread = threading.Thread(target=make, name="tacit-ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        over.set()
        thread.join()
