"""What the tests of studies share: captions, and a progress that remembers what it was told."""

from __future__ import annotations

WORDS = ("a red boat", "a dog on grass", "an old door", "two parrots", "a tall lighthouse", "a sail")


class RecordingProgress:
    """Remembers what a study reports."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[tuple[int, int]] = []

    def begin(self, total: int, known: int) -> None:
        self.begun.append((total, known))

    def done(self, text: str) -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)
