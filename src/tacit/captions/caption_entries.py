"""The entries of caption maps: files in JSON, JSONL or CSV with the captions of many images.

This is the one reading of such files, for encoding, bulk runs, training and evaluation.

A JSON file holds `{"photo.jpg": "caption", ...}`, or a list of rows `{"file": "photo.jpg", "caption": "..."}`, where
`"captions": ["...", ...]` may stand for `"caption"`. In place of a text there may be an object in which it is clear. A
JSONL file holds one of these objects per line. A CSV file holds a line `file,caption` and then rows, or two columns
without that first line.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tacit.captions.caption_value import caption_texts
from tacit.captions.text_file import read_text
from tacit.errors import InvalidInput

JSONL_SUFFIXES = (".jsonl", ".ndjson")
MAP_SUFFIXES = (".json", *JSONL_SUFFIXES, ".csv")

# Names that people give to columns. A row or a first line of nothing but these has headings, not names and captions.
_HEADINGS = frozenset(
    "alt caption captions description file file_name filename id image image_id img key label name path photo text "
    "title url".split()
)


@dataclass(frozen=True)
class CaptionEntry:
    """One image of a caption map, with its captions."""

    file: str
    """The path as the map has it, relative to the map's folder or absolute; empty where a row names no file."""
    captions: tuple[str, ...]
    """The captions in order, as they stand; blank ones are left out."""


def read_caption_entries(path: str | os.PathLike[str], *, captions_required: bool = True) -> list[CaptionEntry]:
    """Read the entries of a caption map, a `.json`, `.jsonl`, `.ndjson` or `.csv` file.

    Args:
        path: The file.
        captions_required: Whether a row without "caption" and "captions" is an error. Where it is not, the row's image
            has no caption.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file has another suffix or other contents; the message names the line.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MAP_SUFFIXES:
        raise InvalidInput(f"{path}: a caption map must end in {', '.join(MAP_SUFFIXES)}")
    text = read_text(path)
    if suffix == ".csv":
        return list(_csv_entries(text, str(path)))
    if suffix in JSONL_SUFFIXES:
        return list(parse_jsonl(text, str(path), captions_required=captions_required))
    return list(_json_entries(text, str(path), captions_required))


def parse_jsonl(
    text: str, name: str, *, files_required: bool = True, captions_required: bool = True
) -> Iterator[CaptionEntry]:
    """Parse JSONL text; blank lines are passed over.

    Args:
        text: The contents of a JSONL file.
        name: The file's name, with which error messages begin.
        files_required: Whether a row must name a file. Where it need not, each object is a row.
        captions_required: Whether a row must have "caption" or "captions".

    Raises:
        InvalidInput: A line is neither a row nor an object of files and captions.
    """
    # Not splitlines(): a JSON string may hold a bare U+2028, which that takes for the end of a line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{name}, line {number}"
            content = _parsed(line, place)
            if files_required:
                yield from _entries(content, place, captions_required)
            else:
                row = _object(content, place)
                yield CaptionEntry(str(row.get("file") or ""), row_captions(row, place))


def row_captions(row: Mapping[str, object], place: str = "") -> tuple[str, ...]:
    """Return the captions in a row's "caption" and "captions", the former first.

    Each may be one text, a list, or an object in which a text is clear (`tacit.captions.caption_value`).

    Args:
        row: A JSON object.
        place: Where the row stands, with which error messages begin.

    Raises:
        InvalidInput: A caption is not a text.
    """
    captions = [text for key in ("caption", "captions") for text in _texts(row.get(key), place)]
    return tuple(dict.fromkeys(captions))


def _json_entries(text: str, name: str, captions_required: bool) -> Iterator[CaptionEntry]:
    content = _parsed(text, name)
    if not isinstance(content, list):
        yield from _entries(content, name, captions_required)
        return
    for number, item in enumerate(content, 1):
        yield from _entries(item, f"{name}, entry {number}", captions_required)


def _entries(content: object, place: str, captions_required: bool) -> Iterator[CaptionEntry]:
    """Return the entries of one object: a row with "file", or files and their captions."""
    row = _object(content, place)
    has_captions = "caption" in row or "captions" in row
    if isinstance(row.get("file"), str) and (has_captions or not captions_required):
        yield CaptionEntry(str(row["file"]), row_captions(row, f"{place}: {row['file']}"))
    elif has_captions or "file" in row or (row and row.keys() <= _HEADINGS):
        rule = '"file" and "caption"' if captions_required else '"file"'
        raise InvalidInput(f"{place}: a row must have {rule}, got {_shortened(row)}")
    else:
        for file, captions in row.items():
            yield CaptionEntry(file, tuple(_texts(captions, f"{place}: {file}")))


def _parsed(text: str, place: str) -> object:
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{place}: not JSON: {error}") from error
    return content


def _object(content: object, place: str) -> dict[str, object]:
    if not isinstance(content, dict):
        raise InvalidInput(f"{place}: must be a JSON object, got {json.dumps(content)[:40]}")
    return content


def _texts(captions: object, place: str) -> list[str]:
    """Return the captions of one JSON value that are not blank."""
    texts, unclear = caption_texts(captions)
    if unclear:
        prefix = f"{place}: " if place else ""
        raise InvalidInput(f"{prefix}a caption must be a text or a list of texts, got {json.dumps(unclear[0])[:40]}")
    return texts


def _csv_entries(text: str, name: str) -> Iterator[CaptionEntry]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    file, caption = 0, 1
    try:
        for row in rows:
            place = f"{name}, line {rows.line_num}"
            names = [column.strip().lower() for column in row]
            if rows.line_num == 1 and "file" in names and "caption" in names:
                file, caption = names.index("file"), names.index("caption")
            elif rows.line_num == 1 and (len(row) > 2 or _HEADINGS.issuperset(names)):
                raise InvalidInput(f"{place}: the first line must be file,caption, got {_shortened(row)}")
            elif row:
                if len(row) <= max(file, caption):
                    raise InvalidInput(f"{place}: a row must have a file and a caption, got {','.join(row)[:40]!r}")
                yield CaptionEntry(row[file], (row[caption],) if row[caption].strip() else ())
    except csv.Error as error:
        raise InvalidInput(f"{name}, line {rows.line_num}: {error}") from error


def _shortened(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 60 else text[:57] + "..."
