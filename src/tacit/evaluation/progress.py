"""Who is told how a run proceeds."""

from __future__ import annotations

from typing import Protocol


class EvalProgress(Protocol):
    """Receives the progress of a run."""

    def begin(self, total: int, known: int) -> None:
        """Start counting.

        Args:
            total: How many measurements there are.
            known: How many of them are known from an earlier run.
        """

    def done(self, text: str) -> None:
        """Count one measurement as done; `text` says in a few words which one."""

    def say(self, text: str) -> None:
        """Show a message that the user must know."""
