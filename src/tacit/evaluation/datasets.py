"""Images with captions to measure on: folders, lists, and the sets that papers use."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from tacit import files
from tacit.captions import CaptionMap, read_caption_list, read_sidecar
from tacit.errors import InvalidInput, PathError

KODAK = tuple(f"kodim{i:02}.png" for i in range(1, 25))
"""Names of the Kodak images."""


class EmptySet(InvalidInput):
    """A set that has no image."""


@dataclass(frozen=True)
class Item:
    """One image. name: what results call it, unique in its set; sha256: of the file."""

    name: str
    path: Path
    sha256: str
    caption: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Images in the order of their names. notes: what a reader of the results should know, such as missing images;
    problems: files that cannot be used, by name."""

    name: str
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


def load_dataset(source: str, *, captions: str | os.PathLike[str] | None = None, limit: int | None = None) -> Dataset:
    """The set that `source` means.

    source: a folder (all images below it); a `.jsonl` with `{"file": ..., "caption": ...}` a line, files relative to
    it; an image; or NAME:PATH for a set that is known by name (`kodak`, `clic`, `coco`), which is checked to be whole;
    NAME alone is the folder of that name in $TACIT_DATA. captions: a map as `tacit encode --captions` takes it; without
    one, the set's own captions are used: those in the JSON lines, those of FOLDER.jsonl beside FOLDER, COCO's
    annotations, else `photo.txt` beside `photo.jpg`. limit: the first so many images.

    Raises: PathError; EmptySet, where there is no image in it; InvalidInput.
    """
    kind, _, rest = source.partition(":")
    if kind.lower() in NAMED and (rest or not Path(source).exists()):
        dataset = NAMED[kind.lower()](Path(rest) if rest else _kept(kind.lower()))
    elif source.lower().endswith((".jsonl", ".ndjson")):
        dataset = _listed(Path(source))
    else:
        dataset = _folder(Path(source))
    items = dataset.items
    notes = dataset.notes
    if limit is not None and limit < len(items):
        notes = (*notes, f"the first {limit} of {len(items)} images")
        items = items[:limit]
    if not items:
        why = "".join(f"; {name}: {problem}" for name, problem in dataset.problems.items())
        raise EmptySet(f"{source}: no images in it{why}")
    if captions is not None:
        mapping = CaptionMap.load(captions)
        items = tuple(Item(i.name, i.path, i.sha256, mapping.find(i.path)) for i in items)
    return Dataset(dataset.name, items, notes, dataset.problems)


def _made(
    name: str,
    found: Sequence[tuple[str, Path, str | None]],
    notes: Sequence[str] = (),
    problems: Mapping[str, str] | None = None,
) -> Dataset:
    """found: name, path and caption of each."""
    items, problems = [], dict(problems or {})
    for label, path, caption in found:
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            problems[label] = f"cannot be read: {files.reason(error)}"
        except ValueError as error:  # a zero byte
            problems[label] = f"cannot be read: {error}"
        else:
            items.append(Item(label, path, digest, caption or None))
    names = [item.name for item in items]
    for label in {label for label in names if names.count(label) > 1}:
        raise InvalidInput(f"{name}: two images are called {label}")
    return Dataset(name, tuple(items), tuple(notes), problems)


def _folder(path: Path, name: str | None = None, notes: Sequence[str] = ()) -> Dataset:
    """A folder, or one image."""
    tasks = files.find([str(path)], files.IMAGE_SUFFIXES)
    bad = [task for task in tasks if task.problem is not None]
    if bad and len(bad) == len(tasks):
        raise (EmptySet if path.is_dir() else InvalidInput)(f"{bad[0].source}: {bad[0].problem}")
    if not path.exists():
        raise PathError(f"{path}: no such file or folder")
    beside = path.with_name(path.name + ".jsonl")
    mapping = CaptionMap.load(beside) if path.is_dir() and path.name and beside.is_file() else None
    found, problems = [], {}
    for task in tasks:
        if task.problem is None:
            file = Path(task.source)
            label = file.relative_to(path).as_posix() if path.is_dir() else file.name
            try:
                found.append((label, file, (mapping.find(file) if mapping else None) or read_sidecar(file)))
            except (PathError, InvalidInput) as error:
                problems[label] = str(error)
    whole = path.resolve()
    return _made(name or (whole.name if path.is_dir() else whole.stem), found, notes, problems)


def _listed(path: Path) -> Dataset:
    """The images of a list of files with captions."""
    entries = read_caption_list(path, captions_required=False)
    found = [(PurePath(e.file).as_posix(), path.parent / e.file, next(iter(e.captions), None)) for e in entries]
    return _made(path.stem, found)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PathError(f"{path} cannot be read: {files.reason(error)}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 (byte {error.start})") from error


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: not JSON: {error}") from error


# -- sets that are known by name --------------------------------------------------------------------------------------


def _kept(name: str) -> Path:
    """Where this machine has it."""
    folder = os.environ.get("TACIT_DATA")
    if not folder:
        raise InvalidInput(f"{name}: say where it is, {name}:PATH, or set TACIT_DATA to the folder that has {name}/")
    return Path(folder, name)


def _kodak(path: Path) -> Dataset:
    """24 photographs of 768x512 pixels, kodim01.png to kodim24.png."""
    whole = _folder(path, "Kodak")
    items = tuple(item for item in whole.items if PurePath(item.name).name in KODAK)
    missing = sorted(set(KODAK) - {PurePath(item.name).name for item in items})
    notes = [f"{len(missing)} of Kodak's 24 images are missing: {', '.join(missing)}"] if missing else []
    return Dataset("Kodak", items, tuple(notes), whole.problems)


def _clic(path: Path) -> Dataset:
    """CLIC's validation and test sets: PNG files below the folder, whichever of them it holds."""
    whole = _folder(path, "CLIC")
    items = tuple(item for item in whole.items if item.path.suffix.lower() == ".png")
    return Dataset("CLIC", items, (f"{len(items)} images of {path.name or 'CLIC'}",), whole.problems)


def _coco(path: Path) -> Dataset:
    """COCO's own layout: `annotations/captions_*.json` below the folder, or that file, and folders of images beside
    `annotations`. Each image with the first of its captions."""
    if path.is_file():
        lists, root = [path], path.parent.parent
    else:
        root = path
        lists = sorted(path.glob("annotations/captions_*.json"))
    if not lists:
        raise InvalidInput(f"{path}: no annotations/captions_*.json in it, as COCO has it")
    found: dict[str, tuple[str, Path, str | None]] = {}
    missing = 0
    for file in lists:
        content = _json(_text(file), str(file))
        try:
            captions: dict[int, str] = {}
            for entry in sorted(content["annotations"], key=lambda entry: entry["id"]):
                captions.setdefault(entry["image_id"], " ".join(entry["caption"].split()))
            images = [(entry["file_name"], entry["id"]) for entry in content["images"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(f"{file}: not COCO's captions ({error!r})") from error
        split = file.stem.removeprefix("captions_")
        for name, number in images:
            places = [root / split / name, root / "images" / split / name, root / name]
            place = next((p for p in places if p.is_file()), None)
            if place is None:
                missing += 1
            else:
                found[name] = (name, place, captions.get(number))
    notes = [f"{missing} images of {len(found) + missing} in COCO's lists are not there"] if missing else []
    return _made("COCO", [found[name] for name in sorted(found)], notes)


NAMED: Mapping[str, Callable[[Path], Dataset]] = MappingProxyType({"kodak": _kodak, "clic": _clic, "coco": _coco})
"""Sets by name; each takes the path to its files."""
