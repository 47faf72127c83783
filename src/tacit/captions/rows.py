"""A file of captions that grows row by row, so that an interrupted run loses nothing and goes on where it was."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path, PurePath
from types import TracebackType
from typing import BinaryIO

from tacit.captions.mapping import file_key, read_jsonl
from tacit.errors import InvalidInput, PathError
from tacit.files import reason


class CaptionRows:
    """JSONL rows {"file", "captions", "source"}, as `CaptionMap` reads them; files are named from the JSONL's folder.

    Rows that are there already stay, unless `anew`. A last line that was cut short, as by a power failure, is dropped.
    Nothing is written before the first row. May be used from several threads; a context manager.

    Raises: PathError; InvalidInput where `path` is no JSONL file of captions.
    """

    def __init__(self, path: str | os.PathLike[str], *, anew: bool = False) -> None:
        self.path = Path(path)
        self.folder = Path(os.path.abspath(self.path.parent))
        if self.path.suffix.lower() not in (".jsonl", ".ndjson"):
            raise InvalidInput(f"captions {self.path}: expected a file ending in .jsonl or .ndjson")
        self._lock = threading.Lock()
        self._stream: BinaryIO | None = None
        self._whole = b"" if anew else self._read()
        try:
            rows = list(read_jsonl(self._whole.decode("utf-8-sig")))
        except (InvalidInput, UnicodeDecodeError) as error:
            raise InvalidInput(f"captions {self.path}: {error}") from error
        self._done = {file_key(file, self.folder) for file, caption in rows if caption.strip()}

    def __contains__(self, name: str) -> bool:
        return file_key(os.path.abspath(name), self.folder) in self._done

    def add(self, name: str, caption: str, source: str) -> None:
        """Write the row of the picture at `name`, at once.

        Raises: PathError.
        """
        file = PurePath(os.path.relpath(os.path.abspath(name), self.folder)).as_posix()
        # ASCII: a path that is not UTF-8 is escaped, and reads back as the same path.
        line = json.dumps({"file": file, "captions": [caption], "source": source}).encode() + b"\n"
        with self._lock:
            try:
                stream = self._stream = self._stream or self._open()
                before = stream.tell()
                if stream.write(line) < len(line):  # a disk that is nearly full takes a part
                    stream.truncate(before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise PathError(f"cannot write {self.path}: {reason(error)}") from error
            self._done.add(file_key(file, self.folder))

    def __enter__(self) -> CaptionRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def _read(self) -> bytes:
        """What is there, up to the end of the last whole line."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise PathError(f"captions {self.path} cannot be read: {reason(error)}") from error
        whole, end, tail = data.rpartition(b"\n")
        try:
            json.loads(tail)
        except ValueError:
            return whole + end
        return data + b"\n"  # whole but for its line end, as editors leave it

    def _open(self) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Not through a temporary name: the point is to keep each row as it comes. Unbuffered: one write a row.
        stream = open(self.path, "ab", buffering=0)
        if stream.tell() > len(self._whole):
            stream.truncate(len(self._whole))
        elif stream.tell() < len(self._whole):
            stream.write(b"\n")
        return stream
