"""The command line from end to end, with a real codec of a small model."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from support.command_line import records, tree
from tacit import cli

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(autouse=True)
def model(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the small model, which is on this machine."""
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_weights.parent))
    return tiny_weights.stem


def noise(path: str, size: tuple[int, int]) -> None:
    Image.effect_noise(size, 40).convert("RGB").save(path)


def tacit(arguments: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "tacit", *arguments], input=data, capture_output=True, timeout=120)


def test_there_and_back(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    noise("in/a.png", (70, 50))
    noise("in/b.png", (33, 65))
    command = ["encode", "in", "-o", "out", "-m", model, "-c", "grey noise", "--store-caption", "--json", "-q", "30"]
    assert cli.main(command) == 0
    first, second = records(capsys.readouterr().out)
    assert (first["width"], first["height"], first["quality"]) == (70, 50, 30)
    assert cli.main(["info", "--json", "out"]) == 0
    info = records(capsys.readouterr().out)
    assert [i["caption"] for i in info] == ["grey noise", "grey noise"]
    assert [i["bytes"] for i in info] == [first["bytes"], second["bytes"]]
    assert cli.main(["decode", "out", "-o", "back", "-j", "2"]) == 0
    with Image.open("back/b.png") as image:
        assert image.size == (33, 65)


@pytest.mark.slow
def test_pipes_through_processes(model: str) -> None:
    noise("a.png", (70, 50))
    encoded = tacit(["encode", "-", "-m", model, "--quiet"], Path("a.png").read_bytes())
    assert (encoded.returncode, encoded.stderr) == (0, b"")
    decoded = tacit(["decode", "-", "--quiet"], encoded.stdout)
    assert (decoded.returncode, decoded.stderr) == (0, b"")
    with Image.open(io.BytesIO(decoded.stdout)) as image:
        assert image.size == (70, 50)


def test_info_imports_nothing_heavy(model: str) -> None:
    noise("a.png", (70, 50))
    assert cli.main(["encode", "a.png", "-m", model]) == 0
    script = (
        "import sys; from tacit.cli import main; assert main(['info', 'a.tacit']) == 0\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_bad_files_end_in_one_line_each(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    noise("a.png", (70, 50))
    assert cli.main(["encode", "a.png", "-m", model]) == 0
    data = Path("a.tacit").read_bytes()
    Path("cut.tacit").write_bytes(data[:-5])
    Path("flipped.tacit").write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    Path("foreign.tacit").write_bytes(Path("a.png").read_bytes())
    Path("empty.tacit").write_bytes(b"")
    capsys.readouterr()
    assert (
        cli.main(["decode", "a.tacit", "cut.tacit", "flipped.tacit", "foreign.tacit", "empty.tacit", "-o", "out"]) == 1
    )
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == [
        "cut.tacit", "flipped.tacit", "foreign.tacit", "empty.tacit",
    ]  # fmt: skip
    assert "unexpected" not in "".join(lines)
    assert lines[-1] == "tacit: 1 of 5 files done, 4 failed"
    assert tree("out") == ["a.png"]
