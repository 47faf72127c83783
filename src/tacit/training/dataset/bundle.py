"""Photos and embedded captions in files of at most 15 MB: what a machine needs to train on, and nothing else.

`photos-NNNN.bin` are the images' own files in a row, `index.json` says where each begins, and
`captions-NNNN.safetensors` are written by the caption cache. The images are decoded into a pool when it is opened.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tacit.errors import InvalidInput, PathError
from tacit.machine import cores
from tacit.training.dataset.caption_cache import PIECE
from tacit.training.dataset.image_files import BadImage, ImageFiles, decode
from tacit.training.dataset.pool import ImagePool

INDEX = "index.json"


def write_bundle(photos: ImageFiles, folder: Path, smallest: int, bad: Callable[[str, str], object]) -> int:
    """Write photos whose sides are `smallest` or more; returns how many. bad(name, reason) hears of the others.

    Raises: PathError, InvalidInput.
    """
    rows: list[dict[str, Any]] = []
    number, size = 0, 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = _piece(folder, number).open("wb")
        try:
            for path, captions in zip(photos.paths, photos.captions, strict=True):
                try:
                    data = _file(path, smallest)
                except BadImage as error:
                    bad(str(path), str(error))
                    continue
                if size and size + len(data) > PIECE:
                    stream.close()
                    number, size = number + 1, 0
                    stream = _piece(folder, number).open("wb")
                rows.append({"piece": number, "start": size, "bytes": len(data), "captions": list(captions)})
                size += stream.write(data)
        finally:
            stream.close()
        temporary = folder / f"{INDEX}.tmp"
        temporary.write_text(json.dumps(rows))
        temporary.replace(folder / INDEX)
    except OSError as error:
        raise PathError(f"{folder}: {error.strerror}") from error
    if not rows:
        raise InvalidInput("none of the photos can be used")
    return len(rows)


def read_bundle(folder: Path) -> ImagePool:
    """Decode all photos, on all cores. Raises: PathError, InvalidInput."""
    try:
        rows = json.loads((folder / INDEX).read_text())
        pieces = {number: _piece(folder, number).read_bytes() for number in {row["piece"] for row in rows}}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise PathError(f"{folder}: no prepared photos ({error})") from error

    def decoded(row: dict[str, Any]) -> np.ndarray:
        start = row["start"]
        try:
            return decode(io.BytesIO(pieces[row["piece"]][start : start + row["bytes"]]))
        except BadImage as error:
            raise InvalidInput(f"{_piece(folder, row['piece'])}, byte {start}: {error}") from error

    def photos() -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
        with ThreadPoolExecutor(cores()) as workers:
            for row, pixels in zip(rows, workers.map(decoded, rows), strict=True):
                yield pixels, tuple(row["captions"])

    return ImagePool.of(photos())


def _file(path: Path, smallest: int) -> bytes:
    """A photo's bytes, as they are if they fit. Raises: BadImage."""
    pixels = decode(path)  # all of it, so that no damaged one goes along
    if min(pixels.shape[:2]) < smallest:
        raise BadImage(f"{pixels.shape[1]}x{pixels.shape[0]} pixels, less than {smallest}")
    data = path.read_bytes()
    if len(data) > PIECE:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=95, subsampling=0)
        data = stream.getvalue()
    if len(data) > PIECE:
        raise BadImage(f"{len(data):,} bytes")
    return data


def _piece(folder: Path, number: int) -> Path:
    return folder / f"photos-{number:04}.bin"
