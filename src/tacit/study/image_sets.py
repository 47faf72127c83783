"""The sets of images that a study measures on, with captions of several kinds."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tacit import files
from tacit.captions import CaptionMap, read_caption_entries
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets import Dataset, load_dataset
from tacit.evaluation.progress import EvalProgress
from tacit.study.config import SetConfig
from tacit.training.dataset.caption_choice import join_captions


def available_sets(
    configs: Sequence[SetConfig], kinds: Collection[str], progress: EvalProgress
) -> list[tuple[SetConfig, Dataset]]:
    """Load the sets that exist on this machine and have captions of all kinds; report the others.

    Args:
        configs: The sets.
        kinds: The kinds of captions that a set must have.
        progress: Takes a line for each set that is left out.

    Raises:
        InvalidInput: There is no such set.
    """
    sets = []
    for config in configs:
        try:
            dataset = load_dataset(config.source, limit=config.limit or None)
        except (PathError, InvalidInput) as error:
            progress.say(f"set left out: {error}")
            continue
        if missing := [kind for kind in kinds if not captions_of_kind(config, dataset, kind)]:
            progress.say(f"set left out: {dataset.name} has no captions of the kind {' or '.join(missing)}")
        else:
            sets.append((config, dataset))
    if not sets:
        raise InvalidInput("none of the study's sets of images is on this machine with the captions it needs")
    return sets


def captions_of_kind(config: SetConfig, dataset: Dataset, kind: str) -> dict[str, str] | None:
    """Return the captions of one kind by the images' names, or None if the set has no captions of that kind.

    Raises:
        PathError: A file of captions cannot be read.
        InvalidInput: A file of captions does not hold what it must.
    """
    if kind not in config.captions:
        return None
    source = config.captions[kind]
    captions: dict[str, str | None]
    if source == "own":
        captions = {item.name: item.caption for item in dataset.images}
    elif source == "joined":
        lists = _caption_lists(Path(config.source))
        captions = {item.name: join_captions(lists[item.name]) for item in dataset.images if lists.get(item.name)}
    else:
        caption_map = CaptionMap.load(source)
        captions = {item.name: caption_map.find(item.path) for item in dataset.images}
    return {name: caption for name, caption in captions.items() if caption}


def write_caption_map(config: SetConfig, dataset: Dataset, kind: str, folder: Path) -> str | None:
    """Write the captions of one kind into `folder` as a map that `tacit eval --captions` reads.

    Returns:
        The path of the map, or None if the set has no captions of that kind.

    Raises:
        PathError: A file of captions cannot be read, or the map cannot be written.
        InvalidInput: A file of captions does not hold what it must.
    """
    captions = captions_of_kind(config, dataset, kind)
    if captions is None:
        return None
    by_path = {os.path.abspath(item.path): captions[item.name] for item in dataset.images if item.name in captions}
    path = folder / f"{dataset.name}-{kind}.json"
    files.write(str(path), json.dumps(by_path, ensure_ascii=False, indent=1).encode(), force=True)
    return str(path)


def with_captions(dataset: Dataset, name: str, captions: Mapping[str, str]) -> Dataset:
    """Return the set under another name, with other captions; images that `captions` does not name get none."""
    items = tuple(dataclasses.replace(item, caption=captions.get(item.name)) for item in dataset.images)
    return Dataset(name, items, dataset.notes)


def rotated_captions(captions: Mapping[str, str], shift: int) -> dict[str, str]:
    """Give each image the caption of the image `shift` places further on, around the end.

    Where that is the same text as the image's own caption, the image gets the next one that differs. An image for which
    no caption differs is left out.
    """
    names = list(captions)
    rotated = {}
    for i, name in enumerate(names):
        candidates = (captions[names[(i + shift + step) % len(names)]] for step in range(len(names)))
        other = next((text for text in candidates if text != captions[name]), None)
        if other is not None:
            rotated[name] = other
    return rotated


def _caption_lists(path: Path) -> dict[str, list[str]]:
    """Return all captions of each image of a JSONL list, by the names that `load_dataset` gives."""
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise InvalidInput(f"{path}: joined captions must come from a .jsonl list")
    entries = read_caption_entries(path, captions_required=False)
    return {Path(entry.file).as_posix(): list(entry.captions) for entry in entries}
