"""Captions in files beside an image: `photo.txt` beside `photo.jpg`, `.txt` and `.json` members of a shard."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from tacit.captions.caption_text import check_caption
from tacit.captions.caption_value import usable_texts
from tacit.captions.text_file import read_text
from tacit.container import MAX_CAPTION
from tacit.errors import InvalidInput

log = logging.getLogger(__name__)


def read_sidecar(image: str | os.PathLike[str]) -> str | None:
    """Read the caption in the text file beside an image.

    Args:
        image: The image's path; its last suffix is replaced by `.txt`.

    Returns:
        The caption without the blanks around it, or None where there is no such file or it is blank.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is not UTF-8, has a control character, or is too long for a caption.
    """
    path = Path(image).with_suffix(".txt")
    if not path.exists():
        return None
    if (size := path.stat().st_size) > 2 * MAX_CAPTION:  # twice: with room for blanks around the caption
        raise InvalidInput(f"{path}: caption must have at most {MAX_CAPTION:,} bytes of UTF-8, got {size:,}")
    return check_caption(read_text(path), str(path)) or None


def sidecar_captions(image: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the caption beside an image in a data set, or nothing where there is none or it cannot be used.

    A bad caption is named in the log, and must not end a run over a large data set.

    Raises:
        PathError: The file cannot be read.
    """
    try:
        text = read_sidecar(image)
    except InvalidInput as error:
        log.warning("%s; the image is used without a caption", error)
        return ()
    return (text,) if text else ()


def member_captions(members: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the captions that stand beside an image in a shard: those in its `.json`, else the one in its `.txt`.

    In the `.json` they are under "caption" and "captions". Members that hold no usable caption are passed over: one bad
    member of a large data set must not end a run. If there is no other caption, a `ConversionWarning` says so.

    Args:
        members: The members that share the image's name, as bytes by suffix.
    """
    try:
        content = json.loads(members.get("json", b"null"))
    except (ValueError, RecursionError):
        content = None
    values = [content.get(key) for key in ("caption", "captions")] if isinstance(content, dict) else []
    text = members.get("txt", b"").decode("utf-8-sig", "replace").strip()
    return usable_texts(values, instead=text)
