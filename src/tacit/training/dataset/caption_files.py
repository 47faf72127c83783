"""The files in which a folder keeps what was computed for captions: tensors, and the captions as JSON.

They are numbered, are at most `MAX_FILE_SIZE` bytes long, and are written whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tacit import files
from tacit.errors import CorruptWeights

MAX_FILE_SIZE = 15_000_000  # bytes


def caption_file(folder: Path, kind: str, number: int) -> Path:
    """Return the path of a folder's file of one kind, such as `captions-0000.safetensors`."""
    return folder / f"{kind}-{number:04}.safetensors"


def caption_files(folder: Path, kind: str) -> Iterator[Path]:
    """Yield the paths of a folder's files of one kind, in order."""
    number = 0
    while (path := caption_file(folder, kind, number)).is_file():
        yield path
        number += 1


def write_caption_file(path: Path, tensors: dict[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a file whole, or not at all.

    Raises:
        PathError: The file cannot be written.
    """
    from safetensors.torch import save

    files.write(str(path), save(tensors, metadata={"tacit": json.dumps(metadata)}), force=True)


def read_caption_file(path: Path, *names: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors of a file by their names, and its metadata.

    Raises:
        CorruptWeights: The file is damaged, or lacks a tensor.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in names}, json.loads(stored.metadata()["tacit"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: not a file of captions ({error})") from error
