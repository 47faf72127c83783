"""A map of captions: one JSON, JSONL or CSV file for many images."""

from __future__ import annotations

import csv
import io
import json
import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tacit.errors import InvalidInput, PathError
from tacit.files import IMAGE_SUFFIXES, TACIT_SUFFIXES, reason

# What people call columns. A row or first line of nothing but these is none of names and captions.
_HEADINGS = frozenset(
    "alt caption captions description file file_name filename id image image_id img key label name path photo text "
    "title url".split()
)


@dataclass(frozen=True)
class CaptionMap:
    """Captions by file, read with `CaptionMap.load`.

    captions: by path relative to `folder`, the map's own, with forward slashes. An image finds its caption by its
    path from there, else by its file name, else by its name without suffix. Where two keys with different captions
    share a name, that name finds nothing: a caption is never guessed.
    """

    name: str
    folder: Path
    captions: Mapping[str, str]
    by_name: Mapping[str, str | None]
    by_stem: Mapping[str, str | None]

    @staticmethod
    def load(path: str | os.PathLike[str]) -> CaptionMap:
        """Read a `.json`, `.jsonl` or `.csv` file.

        JSON: {"photo.jpg": "caption", ...}, or a list of rows {"file": "photo.jpg", "caption": "..."}, where
        "captions": ["...", ...] may stand for "caption" (the first is taken). JSONL: such objects, one a line.
        CSV: a line `file,caption` and then rows, or two columns without the first line.

        Raises: PathError; InvalidInput for contents that are none of these.
        """
        path = Path(path)
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise PathError(f"captions {path} cannot be read: {reason(error)}") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"captions {path} are not UTF-8 (byte {error.start})") from error
        readers: dict[str, Callable[[str], Iterator[tuple[str, str]]]] = {
            ".json": _read_json,
            ".jsonl": read_jsonl,
            ".ndjson": read_jsonl,
            ".csv": _read_csv,
        }
        if (reader := readers.get(path.suffix.lower())) is None:
            raise InvalidInput(f"captions {path}: expected a file ending in {', '.join(readers)}")
        folder = Path(os.path.abspath(path.parent))
        captions: dict[str, str] = {}
        try:
            for file, caption in reader(text):
                if caption.strip():
                    captions.setdefault(file_key(file, folder), caption)
        except InvalidInput as error:
            raise InvalidInput(f"captions {path}: {error}") from error
        return CaptionMap(
            str(path), folder, captions, _index(captions, posixpath.basename), _index(captions, _bare_stem)
        )

    def find(self, path: str | os.PathLike[str]) -> str | None:
        """The caption of the image at `path`."""
        relative = file_key(os.path.abspath(path), self.folder)
        name = posixpath.basename(relative)
        stem = _bare_stem(name)
        return (
            self.captions.get(relative)
            or self.captions.get(name)
            or self.by_name.get(name)
            or self.captions.get(stem)
            or self.by_stem.get(stem)
        )


def file_key(file: str, folder: Path) -> str:
    """One spelling for each file: relative to `folder`, forward slashes, composed accents (macOS decomposes them)."""
    if os.path.isabs(file):
        file = os.path.relpath(file, folder)
    return unicodedata.normalize("NFC", posixpath.normpath(file.replace("\\", "/")))


def _bare_stem(key: str) -> str:
    """The file name without an image's suffix; any other dot belongs to the name (`photo.v2`)."""
    name = posixpath.basename(key)
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES | TACIT_SUFFIXES else name


def _index(captions: Mapping[str, str], part: Callable[[str], str]) -> dict[str, str | None]:
    """`captions` by a part of their keys; None where that part is ambiguous."""
    index: dict[str, str | None] = {}
    for key, caption in captions.items():
        if index.setdefault(part(key), caption) != caption:
            index[part(key)] = None
    return index


def _read_json(text: str) -> Iterator[tuple[str, str]]:
    content = _parse(text, "")
    for entry in content if isinstance(content, list) else [content]:
        yield from _entries(entry, "")


def read_jsonl(text: str) -> Iterator[tuple[str, str]]:
    """File and caption of each row; "" where a row has no caption. Raises: InvalidInput."""
    # Not splitlines(): a JSON string may hold a bare U+2028, which that takes for the end of a line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield from _entries(_parse(line, f"line {number}: "), f"line {number}: ")


def _parse(text: str, where: str) -> object:
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where}not JSON: {error}") from error
    return content


def _entries(entry: object, where: str) -> Iterator[tuple[str, str]]:
    """The captions of one object: a row with "file", or names and captions."""
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where}expected an object, found {json.dumps(entry)[:40]}")
    if isinstance(entry.get("file"), str) and ("caption" in entry or "captions" in entry):
        yield entry["file"], _first(entry.get("caption", entry.get("captions")), f"{where}{entry['file']}: ")
    elif entry.keys() & {"file", "caption", "captions"} or (entry and entry.keys() <= _HEADINGS):
        raise InvalidInput(f'{where}expected "file" and "caption", found {_listed(entry)}')
    else:
        for file, caption in entry.items():
            yield file, _first(caption, f"{where}{file}: ")


def _listed(names: Iterable[str]) -> str:
    """The names, in short."""
    text = ", ".join(names)
    return text if len(text) <= 60 else text[:57] + "..."


def _first(caption: object, where: str) -> str:
    if caption is None or caption == []:
        return ""
    if isinstance(caption, list):
        caption = next((c for c in caption if not isinstance(c, str) or c.strip()), "")
    if not isinstance(caption, str):
        raise InvalidInput(f"{where}expected a caption or a list of captions, found {json.dumps(caption)[:40]}")
    return caption


def _read_csv(text: str) -> Iterator[tuple[str, str]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    file, caption = 0, 1
    try:
        for row in rows:
            names = [name.strip().lower() for name in row]
            if rows.line_num == 1 and "file" in names and "caption" in names:
                file, caption = names.index("file"), names.index("caption")
            elif rows.line_num == 1 and (len(row) > 2 or _HEADINGS.issuperset(names)):
                raise InvalidInput(f"line 1: expected file,caption, found {_listed(row)!r}")
            elif row:
                if len(row) <= max(file, caption):
                    found = ",".join(row)[:40]
                    raise InvalidInput(f"line {rows.line_num}: expected a file and a caption, found {found!r}")
                yield row[file], row[caption]
    except csv.Error as error:
        raise InvalidInput(f"line {rows.line_num}: {error}") from error
