"""Frozen dataclasses out of YAML, with single values given on a command line."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tacit.errors import InvalidInput, PathError

T = TypeVar("T")


def names(folder: Traversable) -> tuple[str, ...]:
    """The YAML files of a folder, without their suffix."""
    return tuple(sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")))


def read(source: str, folder: Traversable, overrides: Sequence[str], expected: str) -> dict[str, Any]:
    """Values of a file of `folder` by its name, or of any YAML file, with KEY=VALUE applied in turn; a KEY has as many
    parts, with dots between, as the one that `expected` begins with.

    Raises: PathError; InvalidInput.
    """
    path = folder / f"{source}.yaml" if source in names(folder) else Path(source)
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(names(folder))
        raise PathError(
            f"configuration {source}: {getattr(error, 'strerror', None) or error}; in the package: {known}"
        ) from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{source}: {' '.join(str(error).split())}") from error
    depth = expected.partition("=")[0].count(".")
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.split(".")
        if not equals or len(parts) <= depth:
            raise InvalidInput(f"{override!r}: expected {expected}")
        section = values
        for part in parts[:-1]:
            section = section.setdefault(part, {}) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            raise InvalidInput(f"{key}: no such key")
        try:
            section[parts[-1]] = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise InvalidInput(f"{override!r}: {' '.join(str(error).split())}") from error
    return values


def build(kind: type[T], values: Any, where: str = "") -> T:
    """A dataclass from its keys and values, and those of the dataclasses in it. where: the key of the whole.

    Raises: InvalidInput, for an unknown key or a value of the wrong kind.
    """
    if not isinstance(values, Mapping):
        raise InvalidInput(f"{where or 'configuration'}: expected keys and values, got {values!r}")
    hints = typing.get_type_hints(kind)
    if unknown := [str(k) for k in values if k not in hints]:
        raise InvalidInput(f"{where}{unknown[0]}: no such key; there are: {', '.join(hints)}")
    return kind(**{k: _value(hints[k], v, f"{where}{k}") for k, v in values.items()})


def plain(value: Any) -> Any:
    """Without tuples and read-only mappings, as YAML and JSON have it."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, tuple | list) else value


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, f"{where}.")
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        kinds = typing.get_args(hint)
        if kinds[-1] is Ellipsis:
            return tuple(_value(kinds[0], v, where) for v in value)
        if len(value) == len(kinds):
            return tuple(_value(k, v, where) for k, v in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return dict(value)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML takes 1e-3 for text
        except ValueError:
            pass
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    name = getattr(hint, "__name__", hint) if not isinstance(hint, types.GenericAlias) else hint
    raise InvalidInput(f"{where}={value!r}: expected {name}")
