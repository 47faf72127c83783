"""The pace of requests: a rate that all threads share, and pauses that a server asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tacit.errors import CaptionerError


class Pace:
    """Lets one request through every 60 / `per_minute` seconds, whichever thread it comes from.

    clock: seconds, for tests.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 60 / per_minute
        self._clock = clock
        self._next = 0.0  # no request before this time
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def wait(self) -> None:
        """Return when the caller may send a request.

        Raises: CaptionerError, after `stop`.
        """
        while True:
            with self._lock:
                now = self._clock()
                if now >= self._next and not self._stopped.is_set():
                    self._next = now + self._interval
                    return
                delay = self._next - now
            # Then look again: another thread may have been let through, or all of them told to wait longer.
            self.sleep(delay)

    def pause(self, seconds: float) -> None:
        """Let no request through for so long."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, or raise CaptionerError after `stop`."""
        if self._stopped.wait(max(seconds, 0)):
            raise CaptionerError("stopped before an answer came")

    def stop(self) -> None:
        """Wake all that wait, now and later, with an error."""
        self._stopped.set()
