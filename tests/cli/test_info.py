"""`tacit info`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from support.command_line import records
from tacit import cli
from tacit.errors import CorruptFile

pytestmark = pytest.mark.usefixtures("folder")


def test_info(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import tacit

    found = {b"good": ("mine", "taco"), b"no weights": (None, "taco"), b"new": (None, None)}

    @dataclass(frozen=True)
    class FileInfo:
        width: int
        bpp: float
        weights_hash: bytes
        caption: str | None
        model: str | None
        architecture: str | None

    def info(data: bytes) -> FileInfo:
        if data not in found:
            raise CorruptFile("not good")
        return FileInfo(6, 0.12345, b"\x01\xff", None, *found[data])

    monkeypatch.setattr(tacit, "info", info, raising=False)
    Path("a.tacit").write_bytes(b"good")
    Path("b.tacit").write_bytes(b"bad")
    assert cli.main(["info", "."]) == 1
    said = capsys.readouterr()
    lines = "a.tacit\n  width           6\n  bpp             0.1235\n  weights hash    01ff\n  model           "
    assert said.out == lines + "mine\n"
    assert said.err == "tacit: b.tacit: not good\ntacit: 1 of 2 files done, 1 failed\n"
    assert cli.main(["info", "--json", "a.tacit"]) == 0
    (record,) = records(capsys.readouterr().out)
    assert {k: record[k] for k in ("file", "width", "weights_hash")} == {
        "file": "a.tacit", "width": 6, "weights_hash": "01ff",
    }  # fmt: skip
    assert "output" not in record
    for content, model in (
        (b"no weights", "(taco, weights not on this machine)"),
        (b"new", "(of an unknown architecture, weights not on this machine)"),
    ):
        Path("a.tacit").write_bytes(content)
        assert cli.main(["info", "a.tacit"]) == 0
        assert capsys.readouterr().out == f"{lines}{model}\n"
    Path("a.tacit").write_bytes(b"no weights")
    assert cli.main(["info", "--json", "a.tacit"]) == 0
    (record,) = records(capsys.readouterr().out)
    assert (record["model"], record["architecture"]) == (None, "taco")
