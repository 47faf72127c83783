"""Windows of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.bulk_runner import Runner, read_tar
from support.shards import photo, write_tar
from tacit.bulk.engine import EngineInput
from tacit.bulk.record import Record
from tacit.bulk.windows import make_windows


def test_windows_are_bounded_by_images_pixels_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.bulk.timings import Timings

    class Sized:
        suffix = "tacit"

        def prepare(self, record: Record) -> EngineInput:
            return EngineInput(record, None, None, int(record.key))

        def code(self, batch: Any) -> Any:
            raise NotImplementedError

    monkeypatch.setattr("tacit.bulk.windows.WINDOW_IMAGES", 3)
    monkeypatch.setattr("tacit.bulk.windows.WINDOW_PIXELS", 10)
    sizes = [1, 1, 1, 1, 5, 5, 50, 9, 2]
    records = [Record(key=str(n), image=b"") for n in sizes]
    found = [[int(item.record.key) for item in window] for window in make_windows(records, Sized(), Timings(), 1)]
    assert found == [[1, 1, 1], [1, 5], [5], [50], [9], [2]]
    several = make_windows(records, Sized(), Timings(), 1, larger=2)
    assert [[int(item.record.key) for item in window] for window in several] == [[1, 1, 1, 1, 5, 5], [50], [9, 2]]
    monkeypatch.setattr("tacit.bulk.windows.WINDOW_BYTES", 4)
    records = [Record(key="1", image=b"..", rest={"mp4": b"." * n}) for n in (1, 2, 9, 0)]
    held = [
        [len(item.record.rest["mp4"]) for item in window] for window in make_windows(records, Sized(), Timings(), 1)
    ]
    assert held == [[1], [2], [9], [0]]


def test_several_threads_give_the_same_order(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {f"{n}.png": photo(n) for n in range(9)})
    runner(tmp_path / "in", tmp_path / "one")
    runner(tmp_path / "in", tmp_path / "three", threads=3)
    assert list(read_tar(tmp_path / "one" / "0.tar")) == list(read_tar(tmp_path / "three" / "0.tar"))
