"""The journal of a run: one JSON object for each result, appended, so that nothing is lost when a run ends early."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tacit import files
from tacit.errors import InvalidInput, PathError

JournalEntry = dict[str, Any]
"""What is kept of a result; its "key" is a text."""


class Journal:
    """The entries of a file by their keys, to which more can be appended; a context manager.

    Of several entries with one key the last counts. A last line that was cut off (the machine went down, the disk was
    full) is dropped, and its work is done again.

    Args:
        path: The file; it is created if it does not exist.
        fresh: Whether to drop the entries that the file has.

    Raises:
        PathError: The file cannot be read or written.
        InvalidInput: The file is not a journal.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self.entries: dict[str, JournalEntry] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer: what a full disk refuses must not stay in one.
            self._stream = path.open("wb" if fresh else "ab", buffering=0)
            with ExitStack() as opened:
                opened.callback(self._stream.close)
                self._end = self._read(path.read_bytes())
                if self._stream.tell() > self._end:  # which some file systems cannot
                    self._stream.truncate(self._end)
                opened.pop_all()
        except OSError as error:
            raise PathError(f"{path}: {files.reason(error)}") from error

    def _read(self, data: bytes) -> int:
        """Read the entries, and return how many bytes belong to whole lines."""
        *lines, rest = data.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                self.entries[entry["key"]] = entry
            except (ValueError, TypeError, KeyError) as error:
                raise InvalidInput(f"{self.path}, line {number}: not a result of tacit eval") from error
        return len(data) - len(rest)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Append an entry; it is in the file when this returns.

        Raises:
            PathError: The file cannot be written, for instance because the disk is full; earlier entries stay whole.
        """
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            written = self._stream.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with suppress(OSError):  # remove half a line; if even that fails, the next reader drops it
                self._stream.truncate(self._end)
            raise PathError(f"{self.path}: {files.reason(error)}") from error
        self._end += len(line)
        self.entries[entry["key"]] = dict(entry)

    def close(self) -> None:
        """Close the file.

        Raises:
            PathError: The last entries cannot be written.
        """
        try:
            self._stream.close()
        except OSError as error:  # some file systems say only then that there is no room
            raise PathError(f"{self.path}: {files.reason(error)}") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
