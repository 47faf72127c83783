"""The journal of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tacit.errors import InvalidInput, PathError
from tacit.evaluation.journal import Journal


@pytest.mark.parametrize("cut", [1, 30])
def test_a_journal_that_was_cut_off_loses_its_last_line_only(cut: int, tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for key in "abc":
            journal.append({"key": key, "value": "x" * 40})
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole[:-cut])
    with Journal(tmp_path / "j") as journal:
        assert list(journal.entries) == ["a", "b"]
        journal.append({"key": "c", "value": "x" * 40})
    assert (tmp_path / "j").read_bytes() == whole
    (tmp_path / "j").write_text("something else\n")
    with pytest.raises(InvalidInput, match="line 1"):
        Journal(tmp_path / "j")


def test_a_full_disk_keeps_what_the_journal_has(tmp_path: Path) -> None:
    class Full:
        """Takes a part, as a disk does that has a little space left."""

        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def write(self, data: bytes) -> int:
            return int(self.stream.write(data[:5]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

    with Journal(tmp_path / "j") as journal:
        journal.append({"key": "a"})
        before = (tmp_path / "j").read_bytes()
        journal._stream = Full(journal._stream)  # type: ignore[assignment]
        with pytest.raises(PathError, match="No space left on device"):
            journal.append({"key": "b"})
        assert list(journal.entries) == ["a"]
    assert (tmp_path / "j").read_bytes() == before
