"""The TOML file in which a user describes further codecs, each by the commands of its program."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from tacit import files
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.codecs import CODECS
from tacit.evaluation.codecs.program import DECODE_FIELDS, ENCODE_FIELDS, ProgramCodec
from tacit.evaluation.codecs.protocol import Quality

_REQUIRED = ("decode", "encode", "qualities", "suffix")
_OPTIONAL = ("captions", "environment", "image", "timeout", "version")


def read_codec_file(path: str | os.PathLike[str]) -> dict[str, ProgramCodec]:
    """Read the codecs of a TOML file, by name.

    The file has a table [codec.NAME] for each codec, with the entries `encode` and `decode` (a command, or a list of
    commands), `suffix`, and `qualities` (by rising rate); and, if wanted, `version` (a command), `image` ("png" or
    "ppm"), `timeout` in seconds, `captions` (true: the codec is given each image's caption), and `environment`.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is not TOML, or an entry is wrong; the message names the table and the entry.
    """
    try:
        content = tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise PathError(f"{path}: cannot be read: {files.reason(error)}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path}: not TOML: {error}") from error
    tables = content.pop("codec", None)
    if content or not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise InvalidInput(f"{path}: must contain tables [codec.NAME], and nothing else")
    return {name: _program(f"{path}: codec.{name}", name, table) for name, table in tables.items()}


def _program(where: str, name: str, table: dict[str, Any]) -> ProgramCodec:
    known = sorted((*_REQUIRED, *_OPTIONAL))
    if unknown := table.keys() - set(known):
        raise InvalidInput(f"{where}: unknown entry {', '.join(sorted(unknown))}; entries are {', '.join(known)}")
    if lacking := set(_REQUIRED) - table.keys():
        raise InvalidInput(f"{where}: {', '.join(sorted(lacking))} missing")
    if not re.fullmatch(r"[\w.-]+", name):
        raise InvalidInput(f"{where}: a name must consist of letters, digits, dots and dashes")
    if name in CODECS:
        raise InvalidInput(f"{where}: {name} is the name of a built-in codec; choose another name")
    if table.get("image", "png") not in ("png", "ppm"):
        raise InvalidInput(f"{where}: image must be png or ppm, got {table['image']!r}")
    environment = table.get("environment", {})
    if not isinstance(environment, dict) or not all(isinstance(v, str) for v in environment.values()):
        raise InvalidInput(f"{where}: environment must be a table of texts, got {environment!r}")
    types: dict[str, tuple[Any, str]] = {
        "suffix": (str, "a text"),
        "version": (str, "a text"),
        "captions": (bool, "true or false"),
        "timeout": ((int, float), "a number of seconds"),
    }
    for key, (kind, rule) in types.items():
        if key in table and not isinstance(table[key], kind):
            raise InvalidInput(f"{where}: {key} must be {rule}, got {table[key]!r}")
    return ProgramCodec(
        name=name,
        suffix=table["suffix"].lstrip("."),
        qualities=_qualities(where, table["qualities"]),
        encode_commands=_commands(f"{where}: encode", table["encode"], ENCODE_FIELDS, ("{input}", "{file}")),
        decode_commands=_commands(f"{where}: decode", table["decode"], DECODE_FIELDS, ("{file}", "{output}")),
        version_command=table.get("version"),
        image_format=table.get("image", "png"),
        timeout=table.get("timeout", 3600),
        captions="own" if table.get("captions", False) else "none",
        environment=environment,
    )


def _qualities(where: str, value: object) -> tuple[Quality, ...]:
    if not isinstance(value, list) or not value or not all(_is_quality(q) for q in value):
        raise InvalidInput(f"{where}: qualities must be a list of numbers or names, got {value!r}")
    return tuple(value)


def _is_quality(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _commands(where: str, value: object, fields: tuple[str, ...], required: tuple[str, ...]) -> tuple[str, ...]:
    """Check an entry that holds a command or a list of commands: mistakes must show before hours of work, not after."""
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) and line for line in lines):
        raise InvalidInput(f"{where}: must be a command, or a list of commands, got {value!r}")
    for line in lines:
        try:
            for part in shlex.split(line):
                part.format_map(dict.fromkeys(fields, ""))
        except KeyError as error:
            raise InvalidInput(
                f"{where}: {{{error.args[0]}}} is not a field; fields are {', '.join(fields)}"
            ) from error
        except (ValueError, IndexError, AttributeError) as error:
            raise InvalidInput(f"{where}: {error}") from error
    for field in required:
        if not any(field in line for line in lines):
            raise InvalidInput(f"{where}: {field} is in none of its commands")
    return tuple(lines)
