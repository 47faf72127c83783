"""What the command line says, and what it does where nothing can be said."""

from __future__ import annotations

import contextlib
import json
import math
import os
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

from tacit import files

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def stdout_lost(error: OSError) -> str:
    """What is said where standard output cannot be written."""
    return f"cannot write standard output: {files.reason(error)}"


def give_up(stream: TextIO) -> None:
    """Send a standard stream to nowhere: Python would fail again when it flushes what is left."""
    with contextlib.suppress(OSError):  # it need not be a file of the system
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def debug(error: BaseException) -> None:
    """The whole traceback, where TACIT_DEBUG asks for it."""
    if os.environ.get("TACIT_DEBUG"):
        traceback.print_exception(error)


def as_line(values: Mapping[str, object]) -> str:
    """One JSON object on a line."""
    # ASCII only: a path that is not UTF-8 is escaped (\\udcXX) rather than unprintable. No NaN: it is not JSON.
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    return json.dumps(finite, allow_nan=False)


def as_bytes(size: Any) -> str:
    """A size as people read it; kB is 1000 bytes, as in --size."""
    for unit, one, digits in (("B", 1, 0), ("kB", 1e3, 1), ("MB", 1e6, 2), ("GB", 1e9, 2)):
        if size < 1000 * one:
            return f"{size / one:.{digits}f} {unit}"
    return f"{size / 1e12:.2f} TB"


def as_fields(values: Mapping[str, object]) -> str:
    """Names and values below each other; what is not there is left out."""
    shown = {name.replace("_", " "): value for name, value in values.items() if value not in (None, "")}
    return "".join(
        f"\n  {name:<15} {f'{value:.4g}' if isinstance(value, float) else value}" for name, value in shown.items()
    )
