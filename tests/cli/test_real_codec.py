"""The command line with a real codec: salvage, a full disk, an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.codec_files import THREE, Picture, levels
from support.pictures import synthetic
from tacit import cli, container
from tacit.codec import Codec
from tacit.image.psnr import psnr


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def run_cli(arguments: Sequence[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = cli.main([str(a) for a in arguments])
    return status, capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(
    tiny_weights: Path, picture: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(30, 20).save(tmp_path / "a.png")
    status, said = run_cli(["encode", tmp_path / "a.png", "-o", "/dev/full", "-f", "-m", tiny_weights], capsys)
    assert status == 1
    assert said == f"tacit: {tmp_path / 'a.png'}: cannot write /dev/full: No space left on device\n"


@pytest.mark.slow
def test_salvage_and_crop_from_the_command_line(
    codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three_regions = codec.encode(synthetic(*THREE), quality=60, progressive=False)
    middle = container.read(three_regions).regions[1]
    assert middle is not None
    (tmp_path / "a.tacit").write_bytes(three_regions.replace(middle, middle[:50] + b"damage" + middle[56:]))
    decode: list[object] = ["decode", tmp_path / "a.tacit", "-m", codec.path, "-o", tmp_path / "a.png"]
    status, said = run_cli(decode, capsys)
    assert status == 1
    assert "chunk R 1: checksum" in said
    assert tree(tmp_path) == ["a.tacit"]
    status, said = run_cli([*decode, "--salvage"], capsys)
    assert status == 0
    assert "warning: region 1 is lost: chunk R 1: checksum" in said
    status, _ = run_cli(["decode", tmp_path / "a.tacit", "-m", codec.path, "-o", tmp_path / "b.png",
                         "--crop", "5,6,70,30", "--salvage"], capsys)  # fmt: skip
    assert status == 0
    with Image.open(tmp_path / "b.png") as image:
        assert np.abs(levels(image) - levels(codec.decode(three_regions, box=(5, 6, 75, 36)))).max() <= 1


@pytest.mark.slow
def test_a_preview_from_the_command_line(codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A share of the file, or what there is of a file that was cut."""
    image = synthetic(200, 150)
    data = codec.encode(image, quality=80)
    (tmp_path / "a.tacit").write_bytes(data)
    (tmp_path / "cut.tacit").write_bytes(data[: len(data) // 2])
    fidelities = []
    for name, share in (("a", "5%"), ("a", "0.5"), ("cut", "100%"), ("a", "100%")):
        target = tmp_path / f"{name}.png"
        decode: list[object] = ["decode", tmp_path / f"{name}.tacit", "-m", codec.path, "-f", "-o", target]
        assert run_cli([*decode, "--preview", share], capsys)[0] == 0
        with Image.open(target) as found:
            fidelities.append(psnr(np.asarray(found), np.asarray(image)))
    assert fidelities[1] == fidelities[2]
    assert fidelities == sorted(fidelities)
    assert fidelities[0] < fidelities[-1] - 1
    assert run_cli(["decode", tmp_path / "cut.tacit", "-m", codec.path], capsys)[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_no_half_file(codec: Codec, picture: Picture, tmp_path: Path, jobs: str) -> None:
    (tmp_path / "in").mkdir()
    for n in range(60):
        picture(300, 200, seed=n % 5).save(tmp_path / "in" / f"{n:02}.png")
    command = [sys.executable, "-m", "tacit", "encode", "in", "-o", "out", "-j", jobs, "-m", str(codec.path)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/*.tacit")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    written = tree(tmp_path / "out")
    assert process.returncode == 130, said
    assert 0 < len(written) < 60
    assert f"interrupted: {len(written)} of 60 files done" in said
    for name in written:
        assert name.endswith(".tacit")
        assert codec.decode(tmp_path / "out" / name).size == (300, 200)
