"""What a desktop needs to know of `.tacit` files: their type, and a program that makes thumbnails of them.

The type is for shared-mime-info, the program for freedesktop's thumbnailers (GNOME, Cinnamon, MATE, Xfce's tumbler).
Both are installed for one user, below $XDG_DATA_HOME.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tacit import files
from tacit.container import MIME_TYPE
from tacit.errors import PathError

MAGIC = Path(__file__).parent / "magic"
"""An entry for file(1)."""

_MIME_INFO = Path(__file__).parent / "image-x-tacit.xml"
_THUMBNAILER = """[Thumbnailer Entry]
TryExec={program}
Exec={command} thumbnail --size %s %i %o
MimeType={mime_type};
"""


def _places(data: Path) -> tuple[Path, Path]:
    """Return where the type and the thumbnailer are installed."""
    return data / "mime" / "packages" / "image-x-tacit.xml", data / "thumbnailers" / "tacit.thumbnailer"


def data_folder() -> Path:
    """Return the folder of the user's data: $XDG_DATA_HOME, else ~/.local/share."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def install() -> list[Path]:
    """Install the type and the thumbnailer for this user, and return the files that were written.

    Raises:
        PathError: A file cannot be written.
    """
    mime_info, thumbnailer = places = _places(data_folder())
    files.write(str(mime_info), _MIME_INFO.read_bytes(), force=True)
    files.write(str(thumbnailer), _entry().encode(), force=True)
    _update()
    return list(places)


def remove() -> list[Path]:
    """Remove what `install` has written, and return the files that were there.

    Raises:
        PathError: A file cannot be removed.
    """
    found = [path for path in _places(data_folder()) if path.exists()]
    try:
        for path in found:
            path.unlink()
    except OSError as error:
        raise PathError(f"{error.filename}: {error.strerror}") from error
    if found:
        _update()
    return found


def _entry() -> str:
    """Return the thumbnailer's entry; its program is that of this installation, wherever PATH leads."""
    beside = Path(sys.executable).with_name("tacit")
    program = str(beside) if beside.is_file() else sys.executable
    command = _quoted(program) if beside.is_file() else f"{_quoted(program)} -m tacit"
    return _THUMBNAILER.format(program=program, command=command, mime_type=MIME_TYPE)


def _quoted(program: str) -> str:
    """Return a path as the Exec key of a desktop entry has it."""
    plain = program.replace("%", "%%")
    if plain.isascii() and all(c.isalnum() or c in "/._-+@:" for c in plain):
        return plain
    return '"' + "".join(f"\\{c}" if c in '"`$\\' else c for c in plain) + '"'


def _update() -> None:
    """Let the desktop's database of types take in what has changed, where it has one."""
    program = shutil.which("update-mime-database")
    if program is not None:
        folder = data_folder() / "mime"
        subprocess.run([program, str(folder)], check=False, capture_output=True)
