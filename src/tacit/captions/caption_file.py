"""A JSONL file of captions that grows row by row, so that an interrupted run loses nothing and can go on."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path, PurePath
from types import TracebackType
from typing import BinaryIO

from tacit.captions.boxer import LabelledBox
from tacit.captions.caption_entries import JSONL_SUFFIXES, parse_jsonl
from tacit.captions.file_index import file_key
from tacit.errors import InvalidInput, PathError
from tacit.files import reason


class CaptionFile:
    """A file of JSONL rows {"file", "captions", "source"}, some with "boxes", as `CaptionMap` and `BoxMap` read them.

    Files are named relative to the JSONL's folder. A last line that was cut short, as by a power failure, is dropped.
    Nothing is written before the first row. Several threads may use one object; it is a context manager.

    Args:
        path: The file; it need not exist.
        overwrite: Whether to begin anew, without the rows that the file has.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is no JSONL file of captions.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.folder = Path(os.path.abspath(self.path.parent))
        if self.path.suffix.lower() not in JSONL_SUFFIXES:
            raise InvalidInput(f"{self.path}: a file for captions must end in {' or '.join(JSONL_SUFFIXES)}")
        self._lock = threading.Lock()
        self._stream: BinaryIO | None = None
        self._whole = b"" if overwrite else self._read()
        try:
            text = self._whole.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{self.path}: not UTF-8 (at byte {error.start})") from error
        entries = parse_jsonl(text, str(self.path))
        self._captions: dict[str, str] = {}
        for entry in entries:
            if entry.captions:
                self._captions.setdefault(file_key(entry.file, self.folder), entry.captions[0])
        rows = (json.loads(line) for line in text.split("\n") if '"boxes"' in line)
        self._boxed = {
            file_key(str(row.get("file")), self.folder) for row in rows if isinstance(row.get("boxes"), list)
        }

    def __contains__(self, name: str) -> bool:
        return self.caption(name) is not None

    def caption(self, name: str) -> str | None:
        """Return the first caption of an image, None where it has no row."""
        return self._captions.get(file_key(os.path.abspath(name), self.folder))

    def has_boxes(self, name: str) -> bool:
        """Return whether a row says which boxes an image has, be it none."""
        return file_key(os.path.abspath(name), self.folder) in self._boxed

    def add(self, name: str, caption: str, source: str, boxes: Sequence[LabelledBox] | None = None) -> None:
        """Write one row at once.

        Args:
            name: The image's path.
            caption: Its caption.
            source: Who wrote the caption, such as a model's name.
            boxes: Where its things are; None where nobody has looked.

        Raises:
            PathError: The row cannot be written; the file then ends with the row before.
        """
        file = PurePath(os.path.relpath(os.path.abspath(name), self.folder)).as_posix()
        # ASCII: a path that is not UTF-8 is escaped, and reads back as the same path.
        row: dict[str, object] = {"file": file, "captions": [caption], "source": source}
        if boxes is not None:
            row["boxes"] = [{"box": one.box, "phrase": one.phrase} for one in boxes]
        line = json.dumps(row).encode() + b"\n"
        with self._lock:
            try:
                stream = self._stream = self._stream or self._open()
                before = stream.tell()
                if stream.write(line) < len(line):  # a disk that is nearly full takes a part
                    stream.truncate(before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise PathError(f"{self.path}: cannot be written: {reason(error)}") from error
            key = file_key(file, self.folder)
            self._captions.setdefault(key, caption)
            if boxes is not None:
                self._boxed.add(key)

    def __enter__(self) -> CaptionFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._stream is not None:
                self._stream.close()
        except OSError as problem:  # some file systems say only then that there is no room
            raise PathError(f"{self.path}: cannot be written: {reason(problem)}") from problem

    def _read(self) -> bytes:
        """Return the file's bytes up to the end of the last whole line."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise PathError(f"{self.path}: cannot be read: {reason(error)}") from error
        whole, end, tail = data.rpartition(b"\n")
        try:
            json.loads(tail)
        except ValueError:
            return whole + end
        return data + b"\n"  # whole but for its line end, as editors leave it

    def _open(self) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Not through a temporary name: the point is to keep each row as it comes. Unbuffered: one write a row.
        stream = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed by __exit__
        if stream.tell() > len(self._whole):
            stream.truncate(len(self._whole))
        elif stream.tell() < len(self._whole):
            stream.write(b"\n")
        return stream
