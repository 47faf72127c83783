"""Small UTF-8 text files that people write: caption maps, sidecars and prompts."""

from __future__ import annotations

from pathlib import Path

from tacit.errors import InvalidInput, PathError
from tacit.files import reason


def read_text(path: Path, limit: int | None = None) -> str:
    """Read a whole UTF-8 file; a byte order mark at its start is dropped.

    Args:
        path: The file.
        limit: The largest number of bytes that is accepted; None accepts any number.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is not UTF-8 or has more bytes than `limit`.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read() if limit is None else stream.read(limit + 1)
    except OSError as error:
        raise PathError(f"{path}: cannot be read: {reason(error)}") from error
    if limit is not None and len(data) > limit:
        raise InvalidInput(f"{path}: must have at most {limit:,} bytes, got more")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not UTF-8 (at byte {error.start})") from error
