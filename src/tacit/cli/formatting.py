"""How the command line writes values: JSON lines, sizes, counts, and fields below each other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping


def json_line(values: Mapping[str, object]) -> str:
    """Return one JSON object on one line."""
    # ASCII only: a path that is not UTF-8 is escaped (\\udcXX) rather than unprintable. No NaN: it is not JSON.
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    return json.dumps(finite, allow_nan=False)


def byte_size(size: float) -> str:
    """Return a size in bytes as people read it; 1 kB is 1000 bytes, as in `--size`."""
    for unit, bytes_per_unit, digits in (("B", 1, 0), ("kB", 1e3, 1), ("MB", 1e6, 2), ("GB", 1e9, 2)):
        if size < 1000 * bytes_per_unit:
            return f"{size / bytes_per_unit:.{digits}f} {unit}"
    return f"{size / 1e12:.2f} TB"


def counted(count: int, noun: str) -> str:
    """Return a number of things in words, such as "1 file" or "1,200 files"."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def field_lines(values: Mapping[str, object]) -> str:
    """Return names and values below each other, each line after a line break; None and empty texts are left out."""
    present = {name.replace("_", " "): value for name, value in values.items() if value not in (None, "")}
    return "".join(
        f"\n  {name:<15} {f'{value:.4g}' if isinstance(value, float) else value}" for name, value in present.items()
    )
