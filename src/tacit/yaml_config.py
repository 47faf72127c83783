"""Reading frozen dataclasses from YAML files, with single values overridden on the command line.

This is the one such reader: the configurations of training runs and of studies are dataclasses that it fills.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tacit.errors import InvalidInput, PathError

T = TypeVar("T")

_SINGULARS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}


def config_names(folder: Traversable) -> tuple[str, ...]:
    """Return the names of the YAML files in a folder, without their suffix."""
    return tuple(sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")))


def read_values(source: str, folder: Traversable, overrides: Sequence[str], form: str) -> dict[str, Any]:
    """Read the values of a YAML file and apply overrides to them in turn.

    Args:
        source: The name of a file in `folder`, or the path of any YAML file.
        folder: The configurations in the package.
        overrides: Texts of the form KEY=VALUE, where VALUE is YAML. A KEY has at least as many parts, separated by
            dots, as the one that `form` begins with.
        form: The form of an override, for the error message, such as `section.key=value`.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is not YAML, or an override is not of the right form.
    """
    path = folder / f"{source}.yaml" if source in config_names(folder) else Path(source)
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or error
        known = ", ".join(config_names(folder))
        raise PathError(f"{source}: no configuration can be read ({cause}); in the package: {known}") from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{source}: not YAML: {' '.join(str(error).split())}") from error
    depth = form.partition("=")[0].count(".")
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.split(".")
        if not equals or len(parts) <= depth:
            raise InvalidInput(f"an override must be {form}, got {override!r}")
        section = values
        for part in parts[:-1]:
            section = section.setdefault(part, {}) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            raise InvalidInput(f"{key}: no such key")
        try:
            section[parts[-1]] = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise InvalidInput(f"{override!r}: not YAML: {' '.join(str(error).split())}") from error
    return values


def from_values(kind: type[T], values: Any, key: str = "") -> T:
    """Build a dataclass, and the dataclasses in its fields, from plain keys and values.

    Args:
        kind: The dataclass.
        values: A mapping of its fields' names to their values; fields that are absent keep their defaults.
        key: The key of the whole, with a dot behind it, for error messages.

    Raises:
        InvalidInput: A key is unknown, or a value is of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise InvalidInput(f"{key or 'configuration'}: expected keys and values, got {values!r}")
    hints = typing.get_type_hints(kind)
    if unknown := [str(k) for k in values if k not in hints]:
        raise InvalidInput(f"{key}{unknown[0]}: no such key; the keys are: {', '.join(hints)}")
    return kind(**{k: _value(hints[k], v, f"{key}{k}") for k, v in values.items()})


def plain_values(value: Any) -> Any:
    """Return a value without tuples and read-only mappings, as YAML and JSON have it."""
    if isinstance(value, Mapping):
        return {k: plain_values(v) for k, v in value.items()}
    return [plain_values(v) for v in value] if isinstance(value, tuple | list) else value


def _value(hint: Any, value: Any, key: str) -> Any:
    """Convert a plain value to the type of a field.

    Raises:
        InvalidInput: The value is of another type.
    """
    if dataclasses.is_dataclass(hint):
        return from_values(typing.cast(type, hint), value, f"{key}.")
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        kinds = typing.get_args(hint)
        if kinds[-1] is Ellipsis:
            return tuple(_value(kinds[0], v, key) for v in value)
        if len(value) == len(kinds):
            return tuple(_value(k, v, key) for k, v in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return dict(value)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as text
        except ValueError:
            pass
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput(f"{key} must be {_type_text(hint)}, got {value!r}")


def _type_text(hint: Any) -> str:
    """Return what messages call a type."""
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        count = "" if kinds[-1] is Ellipsis else f"{len(kinds)} "
        return f"a list of {count}{_PLURALS.get(kinds[0], 'values')}"
    return _SINGULARS.get(hint, "keys and values")
