"""Captions in files beside an image: `photo.txt` beside `photo.jpg`, `.txt` and `.json` members of a shard."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tacit.captions.caption_list import row_captions
from tacit.captions.caption_text import check_caption
from tacit.captions.text_file import read_text
from tacit.container import MAX_CAPTION
from tacit.errors import InvalidInput


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


def member_captions(members: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the captions that stand beside an image in a shard: those in its `.json`, else the one in its `.txt`.

    Members that hold no usable caption are passed over: one bad member of a large data set must not end a run.

    Args:
        members: The members that share the image's name, as bytes by suffix.
    """
    try:
        content = json.loads(members.get("json", b"null"))
        if isinstance(content, dict) and (captions := row_captions(content)):
            return captions
    except (ValueError, RecursionError, InvalidInput):
        pass
    text = members.get("txt", b"").decode("utf-8-sig", "replace").strip()
    return (text,) if text else ()
