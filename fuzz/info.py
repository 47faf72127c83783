"""`tacit.info`: of bytes and of a stream."""

from __future__ import annotations

import io

from fuzz import tacit_files
from tacit.errors import FileError, ImageTooLarge
from tacit.fileinfo import FileInfo, info

mutate = tacit_files.mutate


def check(data: bytes) -> None:
    """Ask for a file's header; bytes and a stream must give the same."""
    answers: list[FileInfo | str] = []
    for source in (data, io.BytesIO(data)):
        try:
            answers.append(info(source))
        except (FileError, ImageTooLarge) as error:
            answers.append(str(error))
    assert answers[0] == answers[1], f"bytes and a stream differ: {answers}"
