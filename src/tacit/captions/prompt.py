"""The prompt: what a captioner is asked, from the package or from a file of the user's."""

from __future__ import annotations

import os
from pathlib import Path

from tacit.errors import InvalidInput, PathError
from tacit.files import reason

MAX_PROMPT = 100_000
"""Bytes; a file of more is surely not a prompt."""


def load_prompt(path: str | os.PathLike[str] | None = None) -> str:
    """The text of a prompt file, UTF-8, without blanks around it; by default the one beside this module.

    Raises: PathError; InvalidInput for a file that is empty, too long or not text.
    """
    path = Path(__file__).with_name("prompt.txt") if path is None else Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_PROMPT + 1)
        text = data.decode("utf-8-sig").strip()
    except OSError as error:
        raise PathError(f"prompt {path} cannot be read: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"prompt {path} is not UTF-8 (byte {error.start})") from error
    if not text or len(data) > MAX_PROMPT:
        found = f"more than {MAX_PROMPT:,} bytes" if text else "no text"
        raise InvalidInput(f"prompt {path} has {found}")
    return text
