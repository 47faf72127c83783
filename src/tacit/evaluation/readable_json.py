"""JSON text that people and version control can read."""

from __future__ import annotations

import json
from typing import Any


def dumps(value: Any) -> str:
    """Return JSON text with one line for each innermost list or object, so that differences can be read."""
    return _dump(value, 0) + "\n"


def _dump(value: Any, depth: int) -> str:
    if isinstance(value, tuple):
        value = list(value)
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, dict | list) or len(flat) + depth <= 110 or (depth > 1 and _is_row(value)):
        return flat
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        parts = [f"{pad}{json.dumps(k, ensure_ascii=False)}: {_dump(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * depth + "}"
    return "[\n" + ",\n".join(pad + _dump(v, depth + 1) for v in value) + "\n" + " " * depth + "]"


def _is_row(value: dict[str, Any] | list[Any]) -> bool:
    """Return whether a value is an object of plain values and of objects that have only plain values."""
    if isinstance(value, list):
        return False
    inner = [v for v in value.values() if isinstance(v, dict | list | tuple)]
    return all(isinstance(v, dict) and not any(isinstance(w, dict | list) for w in v.values()) for v in inner)
