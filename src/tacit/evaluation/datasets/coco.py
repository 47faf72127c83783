"""COCO, in its own layout: `annotations/captions_*.json`, and folders of images beside `annotations`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tacit import files
from tacit.captions.caption_value import usable_texts
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets.dataset import Dataset, ListedImage, build_dataset


def coco_dataset(path: Path) -> Dataset:
    """Return COCO's images, each with the first of its captions; a note says how many are missing.

    Args:
        path: COCO's folder, or one of its `captions_*.json` files.

    Raises:
        PathError: A file cannot be read.
        InvalidInput: The folder or file is not COCO's.
    """
    if path.is_file():
        lists, root = [path], path.parent.parent
    else:
        root = path
        lists = sorted(path.glob("annotations/captions_*.json"))
    if not lists:
        raise InvalidInput(f"{path}: COCO's folder must hold annotations/captions_*.json")
    listed: dict[str, ListedImage] = {}
    missing = 0
    for file in lists:
        content = _json(file)
        try:
            captions: dict[int, str] = {}
            for entry in sorted(content["annotations"], key=lambda entry: entry["id"]):
                for text in usable_texts([entry["caption"]]):
                    captions.setdefault(entry["image_id"], " ".join(text.split()))
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
                listed[name] = ListedImage(name, place, captions.get(number))
    notes = [f"{missing} images of {len(listed) + missing} in COCO's lists are not there"] if missing else []
    return build_dataset("COCO", [listed[name] for name in sorted(listed)], notes)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise PathError(f"{path}: cannot be read: {files.reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not JSON: {error}") from error
