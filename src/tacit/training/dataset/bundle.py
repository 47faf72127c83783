"""A bundle: images and embedded captions in files of at most 15 MB, all that a machine needs to train on.

`photos-NNNN.bin` are the images' own files, one behind the other, and `index.json` tells where each begins. The files
of the captions are written by `tacit.training.dataset.token_cache`. When a bundle is read, its images are decoded into
a pool.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from tacit import files
from tacit.errors import InvalidInput, PathError
from tacit.machine import cores
from tacit.training.dataset.caption_files import MAX_FILE_SIZE
from tacit.training.dataset.image_files import BadImage, ImageFiles, check_size, decode_image
from tacit.training.dataset.pool import ImagePool

INDEX = "index.json"


def write_bundle(images: ImageFiles, folder: Path, smallest: int, report: Callable[[str, str], object]) -> int:
    """Write the images of a bundle.

    Args:
        images: The images.
        folder: The bundle's folder.
        smallest: The shortest side, in pixels, that an image may have.
        report: Called with the name of each image that is left out, and the reason.

    Returns:
        How many images were written.

    Raises:
        PathError: A file cannot be written.
        InvalidInput: None of the images can be used.
    """
    rows: list[dict[str, Any]] = []
    number, size = 0, 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # An earlier bundle ends here: if this one is not finished, there is none, and no mixture of both.
        (folder / INDEX).unlink(missing_ok=True)
        stream = _piece(folder, number).open("wb")
        try:
            for path, captions in zip(images.paths, images.captions, strict=True):
                try:
                    data = _image_bytes(path, smallest)
                except BadImage as error:
                    report(str(path), str(error))
                    continue
                if size and size + len(data) > MAX_FILE_SIZE:
                    stream.close()
                    number, size = number + 1, 0
                    stream = _piece(folder, number).open("wb")
                rows.append({"piece": number, "start": size, "bytes": len(data), "captions": list(captions)})
                size += stream.write(data)
        finally:
            stream.close()
    except OSError as error:
        raise PathError(f"{folder}: {error.strerror}") from error
    if not rows:
        raise InvalidInput("none of the images can be used")
    files.write(str(folder / INDEX), json.dumps(rows).encode(), force=True)
    return len(rows)


def read_bundle(folder: Path) -> ImagePool:
    """Read a bundle, and decode its images on all cores.

    Raises:
        PathError: The folder is no bundle, or a file is missing.
        InvalidInput: An image is damaged.
    """
    try:
        rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        pieces = {number: _piece(folder, number).read_bytes() for number in {row["piece"] for row in rows}}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise PathError(f"{folder}: no prepared images ({error})") from error

    first = {pieces[row["piece"]][row["start"] + 4 : row["start"] + 12] for row in rows}
    if b"ftypavif" in first and not features.check("avif"):
        raise PathError(
            f"{folder}: some images are AVIF, which this machine's Pillow cannot read; install 11.3 or newer"
        )

    def pixels_of(row: dict[str, Any]) -> np.ndarray:
        start = row["start"]
        try:
            return decode_image(io.BytesIO(pieces[row["piece"]][start : start + row["bytes"]]))
        except BadImage as error:
            raise InvalidInput(f"{_piece(folder, row['piece'])}, byte {start}: {error}") from error

    def images() -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
        with ThreadPoolExecutor(cores()) as workers:
            for row, pixels in zip(rows, workers.map(pixels_of, rows), strict=True):
                yield pixels, tuple(row["captions"])

    return ImagePool.of(images())


def _image_bytes(path: Path, smallest: int) -> bytes:
    """Return an image's file as it is, or as a JPEG of quality 95 where the file is too large for a piece.

    Raises:
        BadImage: The image cannot be read, or is too small or too large.
    """
    pixels = decode_image(path)  # the whole image, so that no damaged one goes into the bundle
    height, width = pixels.shape[:2]
    check_size(width, height, smallest)
    data = path.read_bytes()
    if len(data) > MAX_FILE_SIZE:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=95, subsampling=0)
        data = stream.getvalue()
    if len(data) > MAX_FILE_SIZE:
        raise BadImage(f"as a JPEG, the image must have at most {MAX_FILE_SIZE:,} bytes, got {len(data):,}")
    return data


def _piece(folder: Path, number: int) -> Path:
    return folder / f"photos-{number:04}.bin"
