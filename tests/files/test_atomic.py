"""Writing a file whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tacit.errors import CorruptWeights, PathError
from tacit.files import reason, verified, write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_full_disk_leaves_what_was_there() -> None:
    Path("old").write_text("precious")
    # The limit on the size of files is the nearest to a full disk that a process can give itself.
    script = """
import resource, sys
from tacit.errors import PathError
from tacit.files import write
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for name in ("new", "old"):
    try:
        write(name, b"x" * 2000, force=True)
    except PathError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "cannot write new: File too large\ncannot write old: File too large\n"
    assert os.listdir() == ["old"]
    assert Path("old").read_text() == "precious"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_devices_are_written_to_and_not_replaced() -> None:
    with pytest.raises(PathError, match="cannot write /dev/full: No space left on device"):
        write("/dev/full", b"x")
    write("/dev/null", b"x")
    assert not os.path.isfile("/dev/null")


def test_unwritable_outputs_are_path_errors() -> None:
    Path("file").write_text("")
    Path("folder").mkdir()
    with pytest.raises(PathError, match="cannot write file/x: "):
        write("file/x", b"x")
    with pytest.raises(PathError, match="cannot write folder: Is a directory"):
        write("folder", b"x", force=True)
    with pytest.raises(PathError, match=r"cannot write x+: File name too long"):
        write("x" * 300, b"x")
    assert sorted(os.listdir()) == ["file", "folder"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "🛶" * 63 + "abc"], ids=["ASCII", "two bytes", "four bytes"])
def test_names_of_255_bytes_can_be_written(name: str) -> None:
    write(name, b"x")
    assert os.listdir() == [name]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV])
def test_folders_that_cannot_rename(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    write("new", b"x")
    assert Path("new").read_bytes() == b"x"
    with pytest.raises(PathError, match="cannot write new: "):
        write("new", b"y", force=True)
    assert (os.listdir(), Path("new").read_bytes()) == (["new"], b"x")


def test_a_temporary_file_that_cannot_be_removed_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "no removing here")

    monkeypatch.setattr(Path, "unlink", refuse)
    Path("folder").mkdir()
    with pytest.raises(PathError, match="cannot write folder: Is a directory"):
        write("folder", b"x")


def test_a_new_file_has_the_usual_permissions() -> None:
    Path("usual").write_text("")
    write("new", b"x")
    assert Path("new").stat().st_mode == Path("usual").stat().st_mode


def test_a_reason_is_the_systems() -> None:
    assert reason(OSError(28, "No space left on device", "a.tacit")) == "No space left on device"
    assert reason(OSError("odd")) == "odd"
    assert reason(TimeoutError()) == "TimeoutError"


def test_a_packaged_file_is_verified(tmp_path: Path) -> None:
    file = tmp_path / "table"
    with pytest.raises(CorruptWeights, match="table: No such file or directory; reinstall tacit"):
        verified(file, "0" * 64)
    file.write_bytes(b"table")
    with pytest.raises(CorruptWeights, match="table: sha256 must be 0000000000000000, got"):
        verified(file, "0" * 64)
