"""Errors of jobs that the workers did not finish."""

from __future__ import annotations

from tacit.errors import TacitError


class PoolError(TacitError):
    """A job was not done, although nothing may be wrong with it."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which the client should try again."""


class Overloaded(PoolError):
    """The queue is full."""


class Closing(PoolError):
    """The service is shutting down and accepts no more work."""


class WorkerLost(PoolError):
    """The worker process died; if the job was retried, so did the second one."""


class TimeLimit(PoolError):
    """The job took longer than the time limit and was ended."""
