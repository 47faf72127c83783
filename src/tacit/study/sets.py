"""Sets of images with captions of several kinds, where they are at hand."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from tacit import files
from tacit.captions import CaptionMap, read_caption_list
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets import Dataset, load_dataset
from tacit.evaluation.runner import Progress
from tacit.study.config import SetConfig
from tacit.training.dataset.caption_choice import joined


def find(sets: Sequence[SetConfig], kinds: Collection[str], progress: Progress) -> list[tuple[SetConfig, Dataset]]:
    """Those that are here and have captions of all `kinds`; others are said. Raises: InvalidInput, where none is."""
    found = []
    for one in sets:
        try:
            dataset = load_dataset(one.source, limit=one.limit or None)
        except (PathError, InvalidInput) as error:
            progress.say(f"set left out: {error}")
            continue
        if lacking := [kind for kind in kinds if not captions(one, dataset, kind)]:
            progress.say(f"set left out: {dataset.name} has no captions of the kind {' or '.join(lacking)}")
        else:
            found.append((one, dataset))
    if not found:
        raise InvalidInput("no set of images is here to measure on")
    return found


def captions(config: SetConfig, dataset: Dataset, kind: str) -> dict[str, str] | None:
    """An image's caption of a kind, by the image's name; None where the set has no such kind.

    Raises: PathError, InvalidInput.
    """
    if kind not in config.captions:
        return None
    source = config.captions[kind]
    if source == "own":
        found = {item.name: item.caption for item in dataset.items}
    elif source == "joined":
        several = _several(Path(config.source))
        found = {item.name: joined(several[item.name]) for item in dataset.items if several.get(item.name)}
    else:
        mapping = CaptionMap.load(source)
        found = {item.name: mapping.find(item.path) for item in dataset.items}
    return {name: caption for name, caption in found.items() if caption}


def caption_map(config: SetConfig, dataset: Dataset, kind: str, folder: Path) -> str | None:
    """What `tacit eval --captions` takes for a kind of captions, written into `folder` where the set brings no file.

    Raises: as `captions`.
    """
    texts = captions(config, dataset, kind)
    if texts is None:
        return None
    places = {os.path.abspath(item.path): texts[item.name] for item in dataset.items if item.name in texts}
    path = folder / f"{dataset.name}-{kind}.json"
    files.write(str(path), json.dumps(places, ensure_ascii=False, indent=1).encode(), force=True)
    return str(path)


def given(dataset: Dataset, name: str, texts: dict[str, str] | None) -> Dataset:
    """The set under another name, each image with what the encoder shall be told of it; None for nothing."""
    texts = texts or {}
    return Dataset(name, tuple(dataclasses.replace(i, caption=texts.get(i.name)) for i in dataset.items), dataset.notes)


def rotated(texts: dict[str, str], shift: int) -> dict[str, str]:
    """Each image with the caption of the one `shift` places on, around the end; where that is the same text, of the
    next that is another."""
    names = list(texts)
    found = {}
    for i, name in enumerate(names):
        others = (texts[names[(i + shift + step) % len(names)]] for step in range(len(names)))
        other = next((text for text in others if text != texts[name]), None)
        if other is not None:
            found[name] = other
    return found


def _several(path: Path) -> dict[str, list[str]]:
    """All captions of each image of a JSONL list, by the names that `load_dataset` gives."""
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise InvalidInput(f"{path}: joined captions are those of a .jsonl list")
    entries = read_caption_list(path, captions_required=False)
    return {Path(entry.file).as_posix(): list(entry.captions) for entry in entries}
