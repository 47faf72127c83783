"""What the command `tacit` does as a process, around what its commands do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.fake_codec import FakeCodec
from tacit import cli
from tacit.cli import options
from tacit.codec import Codec

PROGRAM = """
import sys
import gc
from tacit.__main__ import run
before = gc.get_stats()
sys.argv = ["tacit", *sys.argv[1:]]
status = run()
names = ("xml", "PIL.TiffImagePlugin", "PIL.ImageCms", "tacit.image.reading", "tacit.codec.encoding", "torch", "html")
print(status, *(name for name in names if name in sys.modules))
assert gc.get_stats() == before
kept = [[] for _ in range(110_000)]
assert gc.get_stats() != before
assert gc.get_threshold()[0] < 10_000
"""


def test_decoding_imports_what_it_needs_and_collects_nothing(tmp_path: Path, codec: Codec, tiny_weights: Path) -> None:
    (tmp_path / "a.tacit").write_bytes(codec.encode(np.zeros((20, 30, 3), np.uint8)))
    arguments = [sys.executable, "-c", PROGRAM, "decode", "--quiet", "a.tacit", "-m", str(tiny_weights)]
    done = subprocess.run(arguments, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["0"], "")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (30, 20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_read_once(
    tmp_path: Path, codec: Codec, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe.tacit"
    os.mkfifo(pipe)
    file = tmp_path / "a.tacit"
    file.write_bytes(codec.encode(np.zeros((20, 30, 3), np.uint8)))
    writer = subprocess.Popen(["cp", file, pipe])
    arguments = ["decode", str(pipe), "-o", str(tmp_path / "a.png"), "-m", str(tiny_weights)]
    assert cli.main(arguments) == 0, capsys.readouterr().err
    assert writer.wait() == 0


@pytest.mark.usefixtures("folder")
def test_only_folders_ask_for_all_suffixes(fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (6, 4)).save("a.png")
    with monkeypatch.context() as patched:
        patched.setattr("tacit.image.suffixes.readable_suffixes", None)
        assert cli.main(["encode", "a.png"]) == 0
    assert cli.main(["encode", ".", "-f"]) == 0


def test_what_is_wrong_with_the_model_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4)).save("a.png")
    options.load_ahead("encode", "no-such-model")
    assert cli.main(["encode", "a.png", "-m", "no-such-model"]) == 2
    assert capsys.readouterr().err.count("no-such-model") == 1
