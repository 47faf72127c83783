"""Every kind of write, killed in the middle and on a full disk: what was there is whole or gone, never a mixture."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

pytest.importorskip("resource")
pytest.importorskip("fsspec")

from support.writes import KINDS
from tacit.errors import TacitError

GROWING = {"captions", "journal"}  # files that keep each row as it comes
REMADE = {"pool", "bundle"}  # of which an unfinished one leaves none


Write: TypeAlias = Callable[..., tuple[int, str]]
"""write(kind, folder, content, limit=0, odd=""): the exit status and the messages of a process that writes."""


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Write]:
    """Writes, each in a process of its own; they are forked from one that has imported everything."""
    library = tmp_path_factory.mktemp("odd") / "odd_files.so"
    compiled = False
    with contextlib.suppress(OSError):
        command = ["cc", "-shared", "-fPIC", "-o", str(library), "tests/support/odd_files.c", "-ldl"]
        compiled = subprocess.run(command, capture_output=True, check=False).returncode == 0
    path = os.pathsep.join(["tests", *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path} | ({"LD_PRELOAD": str(library)} if compiled else {})
    with subprocess.Popen(
        [sys.executable, "-m", "support.writes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        stdin, stdout = server.stdin, server.stdout
        assert stdin is not None
        assert stdout is not None

        def ask(kind: str, folder: Path, content: str, limit: int = 0, odd: str = "") -> tuple[int, str]:
            if odd and not compiled:
                pytest.skip("no C compiler for Linux")
            asked = {"kind": kind, "folder": str(folder), "content": content, "limit": limit, "odd": odd}
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
            status, messages = json.loads(stdout.readline())
            return status, messages

        yield ask
        stdin.close()


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
def test_a_write_that_is_killed(tmp_path: Path, kind: str, write: Write) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if kind not in GROWING:
        assert write(kind, folder, "a") == (0, "")
        assert KINDS[kind][1](folder) == "a"
    status, messages = write(kind, folder, "b", 30_000)
    if kind in GROWING:  # the system takes a part of a row, and the process lives to remove it
        assert status == 1
        (file,) = folder.iterdir()
        with file.open("ab") as stream:  # so this is what one that is killed leaves
            stream.write(b'{"key": "1", "file": "1.jp')
    else:
        assert status == -signal.SIGXFSZ, messages
        check_whole(kind, folder)
    assert write(kind, folder, "c") == (0, "")
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
def test_a_full_disk(small_disk: Path, kind: str, write: Write) -> None:
    if kind not in GROWING | REMADE:
        assert write(kind, small_disk, "a") == (0, "")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    os.truncate(filler, max(0, filler.stat().st_size - 24_000))  # some of a file goes in, and not all of it
    before = set(small_disk.rglob("*"))
    status, messages = write(kind, small_disk, "b")
    assert status == 1, messages
    assert messages.startswith("PathError: ")
    assert "No space left on device" in messages
    assert messages.count("\n") == 1
    if kind not in GROWING | REMADE:
        assert {path for path in small_disk.rglob("*") if path.is_file()} <= before, "a part is left"
    if kind not in GROWING:
        check_whole(kind, small_disk)
    filler.unlink()
    assert write(kind, small_disk, "c") == (0, "")
    assert KINDS[kind][1](small_disk) == "c"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "shard", "bundle"])
def test_a_folder_that_cannot_rename(tmp_path: Path, kind: str, write: Write) -> None:
    assert write(kind, tmp_path, "a", odd="rename") == (0, "")
    assert KINDS[kind][1](tmp_path) == "a"
    if kind not in REMADE:  # of which nothing is left that could be replaced
        _, messages = write(kind, tmp_path, "b", odd="rename")
        assert messages.startswith("PathError: ")
        assert "where files cannot be renamed, remove the old one first" in messages
        assert messages.count("\n") == 1
        assert KINDS[kind][1](tmp_path) == "a"
    left = [
        path.name for path in tmp_path.rglob("*") if path.is_file() and path.parent.name in (tmp_path.name, "parts")
    ]
    assert len(left) == (kind not in REMADE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "shard", "captions", "journal"])
def test_a_folder_that_is_full_on_closing(tmp_path: Path, kind: str, write: Write) -> None:
    _, messages = write(kind, tmp_path, "b", odd="close")
    assert messages.startswith("PathError: ")
    assert "No space left on device" in messages
    assert messages.count("\n") == 1
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == (kind in GROWING)  # what may be cut off has no name
