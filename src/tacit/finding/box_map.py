"""Boxes of many images, from the files that detectors and people who label images write.

    {"file": "photo.jpg", "boxes": [[40, 30, 120, 80], {"box": [10, 10, 64, 64], "label": "dog"}]}

on each line of a .jsonl file, or in a list in a .json file; boxes are x, y, width and height in pixels there, unless
their key is "xyxy" (left, top, right, bottom) or "yolo" (the middle, width and height in shares of the image). A .json
file may also be COCO's, with "images", "annotations" and "categories". A folder holds YOLO's .txt files, one for each
image, with a line "class x y width height" for each box, and may hold their classes.txt.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tacit.captions.caption_entries import JSONL_SUFFIXES
from tacit.captions.file_index import FileIndex, file_key
from tacit.captions.text_file import read_text
from tacit.errors import InvalidInput, PathError
from tacit.finding.boxes import Box
from tacit.finding.phrases import Phrase, phrases_of, singular

SUFFIXES = (".json", *JSONL_SUFFIXES)
CLASSES = "classes.txt"
_FORMS = {"box": "xywh", "bbox": "xywh", "xywh": "xywh", "xyxy": "xyxy", "yolo": "yolo"}
_LABELS = ("label", "phrase", "class", "category", "name")


@dataclass(frozen=True)
class ListedBox:
    """A box as a list has it."""

    numbers: tuple[float, float, float, float]
    """What the form says."""
    form: str = "xywh"
    """xywh or xyxy, in pixels, or yolo, in shares of the image."""
    label: str | None = None
    """What is in the box; None if the list does not say."""

    def sides(self, width: int, height: int) -> Box:
        """Return left, top, right and bottom in pixels of an image of a size."""
        a, b, c, d = self.numbers
        if self.form == "xyxy":
            return a, b, c, d
        if self.form == "yolo":
            return (a - c / 2) * width, (b - d / 2) * height, (a + c / 2) * width, (b + d / 2) * height
        return a, b, a + c, b + d


@dataclass(frozen=True)
class BoxMap:
    """The boxes of many images; read one with `BoxMap.load`. An image finds its boxes as `FileIndex` has it."""

    name: str
    """The path of the file or the folder, for messages."""
    boxes: FileIndex[tuple[ListedBox, ...]]
    """The boxes by image."""

    @staticmethod
    def load(path: str | os.PathLike[str]) -> BoxMap:
        """Read a list of boxes, or a folder with a file for each image.

        Raises:
            PathError: A file cannot be read.
            InvalidInput: A file is none of these; the message names the line.
        """
        path = Path(os.path.abspath(path))
        folder = path if path.is_dir() else path.parent
        found: dict[str, tuple[ListedBox, ...]] = {}
        for file, boxes in _yolo_files(path) if path.is_dir() else _rows(path):
            key = file_key(file, folder)
            found[key] = found.get(key, ()) + boxes
        return BoxMap(str(path), FileIndex(found, folder))

    def find(
        self, path: str | os.PathLike[str], caption: str | None, width: int, height: int
    ) -> tuple[Box, ...] | None:
        """Return the boxes of an image that matter; None if the map has none for it.

        All that have no label matter, and those whose label the caption names; without a caption, all do.

        Args:
            path: The image's path.
            caption: The image's caption.
            width: The image's width in pixels.
            height: The image's height in pixels.
        """
        boxes = self.boxes.find(path)
        return None if boxes is None else named_boxes(boxes, caption, width, height)

    @property
    def folder(self) -> Path:
        """The list's folder, as an absolute path."""
        return self.boxes.folder

    def of_files(self, files: Iterable[str]) -> BoxMap:
        """Return the boxes of some of the files, as `boxes.values` names them."""
        return BoxMap(self.name, FileIndex({file: self.boxes.values[file] for file in files}, self.folder))

    def part(self, paths: Iterable[str]) -> BoxMap:
        """Return the boxes of the images at some paths, by these paths."""
        found = {file_key(path, self.folder): self.boxes.find(path) for path in paths}
        listed = {file: boxes for file, boxes in found.items() if boxes is not None}
        return BoxMap(self.name, FileIndex(listed, self.folder))

    @cached_property
    def digest(self) -> str:
        """Eight letters that are others where any box is another."""
        rows = ((file, [(box.numbers, box.form, box.label) for box in boxes]) for file, boxes in self._sorted())
        return hashlib.sha256(repr(list(rows)).encode()).hexdigest()[:8]

    def _sorted(self) -> list[tuple[str, tuple[ListedBox, ...]]]:
        return sorted(self.boxes.values.items())


def named_boxes(boxes: Iterable[ListedBox], caption: str | None, width: int, height: int) -> tuple[Box, ...]:
    """Return the boxes of an image that matter: those without a label, and those whose label its caption names.

    Args:
        boxes: The image's boxes.
        caption: Its caption; without one, all boxes matter.
        width: Its width in pixels.
        height: Its height in pixels.
    """
    named = None if caption is None else {name for phrase in phrases_of(caption) for name in _names(phrase)}
    return tuple(
        box.sides(width, height)
        for box in boxes
        if box.label is None
        or named is None
        or box.label.lower() in (caption or "").lower()
        or _is_named(box.label, named)
    )


def listed_boxes(row: Mapping[str, Any], place: str) -> tuple[ListedBox, ...]:
    """Return the boxes of a row of a list, or of a file beside an image, which has them under "boxes".

    Args:
        row: A JSON object.
        place: Where it stands, with which error messages begin.

    Raises:
        InvalidInput: What it has there is no list of boxes.
    """
    boxes = row.get("boxes")
    if not isinstance(boxes, list):
        raise InvalidInput(f'{place}: must have a list of "boxes", got {json.dumps(boxes)[:60]}')
    return tuple(_listed(box, place) for box in boxes)


def _names(phrase: Phrase) -> Iterator[str]:
    """Yield what a phrase's thing may be called, and the things that belong to it or are near it."""
    yield from phrase.names
    for other in (*phrase.worn, *phrase.near, *([] if phrase.whole is None else [phrase.whole])):
        yield from _names(other)


def _is_named(label: str, named: set[str]) -> bool:
    words = label.lower().replace("_", " ").replace("-", " ").split()
    return bool(words) and (" ".join([*words[:-1], singular(words[-1])]) in named or singular(words[-1]) in named)


def _rows(path: Path) -> Iterator[tuple[str, tuple[ListedBox, ...]]]:
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInput(f"{path}: boxes must be in a folder or a file that ends in {', '.join(SUFFIXES)}")
    text = read_text(path)
    if path.suffix.lower() in JSONL_SUFFIXES:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield _row(_parsed(line, f"{path}, line {number}"), f"{path}, line {number}")
        return
    content = _parsed(text, str(path))
    if isinstance(content, dict) and "annotations" in content:
        yield from _coco(content, str(path))
    elif isinstance(content, list):
        for number, row in enumerate(content, 1):
            yield _row(row, f"{path}, entry {number}")
    else:
        raise InvalidInput(f'{path}: must be a list of rows with "file" and "boxes", or COCO\'s annotations')


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{place}: not JSON: {error}") from error


def _row(row: Any, place: str) -> tuple[str, tuple[ListedBox, ...]]:
    has_captions = isinstance(row, dict) and ("captions" in row or "caption" in row)  # of `tacit caption` without boxes
    if not (isinstance(row, dict) and isinstance(row.get("file"), str)) or not (
        isinstance(row.get("boxes"), list) or (has_captions and "boxes" not in row)
    ):
        raise InvalidInput(f'{place}: a row must have "file" and a list of "boxes", got {json.dumps(row)[:60]}')
    return row["file"], listed_boxes(row, place) if "boxes" in row else ()


def _listed(value: Any, place: str) -> ListedBox:
    numbers, form, label = value, "xywh", None
    if isinstance(value, dict):
        key = next((key for key in _FORMS if key in value), None)
        numbers, form = (None, "") if key is None else (value[key], _FORMS[key])
        label = next((value[key] for key in _LABELS if isinstance(value.get(key), str)), None)
    return ListedBox(_numbers(numbers, place), form, label)


def _numbers(values: Any, place: str) -> tuple[float, float, float, float]:
    try:
        a, b, c, d = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{place}: a box must be four numbers, got {json.dumps(values)[:60]}") from error
    if not all(map(math.isfinite, (a, b, c, d))):
        raise InvalidInput(f"{place}: a box must be four numbers, got {json.dumps(values)[:60]}")
    return a, b, c, d


def _coco(content: Mapping[str, Any], name: str) -> Iterator[tuple[str, tuple[ListedBox, ...]]]:
    try:
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        labels = {category["id"]: str(category["name"]) for category in content.get("categories", [])}
        boxes: dict[Any, list[ListedBox]] = {number: [] for number in files}
        for at, item in enumerate(content["annotations"], 1):
            place = f"{name}, annotation {at}"
            if not {"image_id", "bbox"} <= item.keys():
                raise InvalidInput(f'{place}: must have "image_id" and "bbox", got {json.dumps(item)[:60]}')
            if item["image_id"] not in boxes:
                raise InvalidInput(f"{place}: the file has no image {item['image_id']}")
            numbers = _numbers(item["bbox"], place)
            boxes[item["image_id"]].append(ListedBox(numbers, label=labels.get(item.get("category_id"))))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{name}: not COCO's annotations: {error!r}") from error
    for number, file in files.items():
        yield file, tuple(boxes[number])


def _yolo_files(folder: Path) -> Iterator[tuple[str, tuple[ListedBox, ...]]]:
    """Return the boxes in a folder's YOLO files, by file names without a suffix."""
    try:
        paths = sorted(folder.glob("*.txt"))
    except OSError as error:
        raise PathError(f"{folder}: cannot be read: {error.strerror}") from error
    classes = read_text(folder / CLASSES).splitlines() if (folder / CLASSES).is_file() else []
    for path in paths:
        if path.name != CLASSES:
            lines = enumerate(read_text(path).splitlines(), 1)
            yield path.stem, tuple(_yolo(line, classes, f"{path}, line {number}") for number, line in lines if line)


def _yolo(line: str, classes: Sequence[str], place: str) -> ListedBox:
    parts = line.split()
    if len(parts) not in (5, 6) or not parts[0].isdigit():  # the sixth is how sure a detector is
        raise InvalidInput(f'{place}: must be "class x y width height" in shares of the image, got {line[:60]!r}')
    numbers = _numbers(parts[1:5], place)
    if max(numbers) > 1 or min(numbers) < 0:
        raise InvalidInput(f"{place}: a box must be in shares of the image, 0 to 1, got {line[:60]!r}")
    number = int(parts[0])
    return ListedBox(numbers, "yolo", classes[number].strip() if number < len(classes) else None)
