"""Every kind of write, killed in the middle and on a full disk: what was there is whole or gone, never a mixture."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("resource")
pytest.importorskip("fsspec")

from support.writes import KINDS
from tacit.errors import TacitError

GROWING = {"captions", "journal"}  # files that keep each row as it comes
REMADE = {"pool", "bundle"}  # of which an unfinished one leaves none


def write(kind: str, folder: Path, content: str, limit: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "support.writes", kind, str(folder), content, str(limit)]
    path = os.pathsep.join(["tests", *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path})


def check_whole(kind: str, folder: Path) -> None:
    """Check that what was "a" is so still, or gone."""
    read = KINDS[kind][1]
    if kind in REMADE:
        with pytest.raises((TacitError, OSError)):
            read(folder)
    else:
        assert read(folder) == "a"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_is_killed(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if kind not in GROWING:
        assert write(kind, folder, "a").returncode == 0
        assert KINDS[kind][1](folder) == "a"
    killed = write(kind, folder, "b", 30_000)
    if kind in GROWING:  # the system takes a part of a row, and the process lives to remove it
        assert killed.returncode == 1
        (file,) = folder.iterdir()
        with file.open("ab") as stream:  # so this is what one that is killed leaves
            stream.write(b'{"key": "1", "file": "1.jp')
    else:
        assert killed.returncode == -signal.SIGXFSZ, killed.stderr
        check_whole(kind, folder)
    done = write(kind, folder, "c")
    assert done.returncode == 0, done.stderr
    assert KINDS[kind][1](folder) == "c"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own of 160 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk(small_disk: Path, kind: str) -> None:
    if kind not in GROWING | REMADE:
        assert write(kind, small_disk, "a").returncode == 0
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    os.truncate(filler, max(0, filler.stat().st_size - 24_000))  # some of a file goes in, and not all of it
    before = set(small_disk.rglob("*"))
    failed = write(kind, small_disk, "b")
    assert failed.returncode == 1, failed.stderr
    assert failed.stderr.startswith("PathError: "), failed.stderr
    assert "No space left on device" in failed.stderr
    assert failed.stderr.count("\n") == 1
    if kind not in GROWING | REMADE:
        assert {path for path in small_disk.rglob("*") if path.is_file()} <= before, "a part is left"
    if kind not in GROWING:
        check_whole(kind, small_disk)
    filler.unlink()
    done = write(kind, small_disk, "c")
    assert done.returncode == 0, done.stderr
    assert KINDS[kind][1](small_disk) == "c"
