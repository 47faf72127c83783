"""A limit on the rate of requests that all threads share, and the pauses that a server asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tacit.errors import CaptionerError


class RateLimit:
    """Lets one request through every 60 / `per_minute` seconds, whichever thread it comes from.

    Args:
        per_minute: The number of requests that may begin in a minute.
        clock: Returns the time in seconds; tests replace it.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 60 / per_minute
        self._clock = clock
        self._next = 0.0  # no request begins before this time
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def wait(self) -> None:
        """Return when the caller may send a request.

        Raises:
            CaptionerError: `stop` was called.
        """
        while True:
            with self._lock:
                now = self._clock()
                if now >= self._next and not self._stopped.is_set():
                    self._next = now + self._interval
                    return
                delay = self._next - now
            # Then look again: another thread may have been let through, or a pause may have begun.
            self.sleep(delay)

    def pause(self, seconds: float) -> None:
        """Let no request through for a number of seconds."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds.

        Raises:
            CaptionerError: `stop` was called before or meanwhile.
        """
        if self._stopped.wait(max(seconds, 0)):
            raise CaptionerError("stopped before an answer came")

    def stop(self) -> None:
        """Make all present and later calls of `wait` and `sleep` fail at once."""
        self._stopped.set()
