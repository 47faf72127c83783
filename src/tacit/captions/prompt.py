"""The prompt, which a captioner is asked with each image."""

from __future__ import annotations

import os
from pathlib import Path

from tacit.captions.text_file import read_text
from tacit.errors import InvalidInput

MAX_PROMPT = 100_000
"""Bytes; a longer file is surely not a prompt."""


def load_prompt(path: str | os.PathLike[str] | None = None) -> str:
    """Read a prompt from a UTF-8 text file, without the blanks around it.

    Args:
        path: The file; None reads the prompt that comes with the package.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is empty, too long or not UTF-8.
    """
    path = Path(__file__).with_name("prompt.txt") if path is None else Path(path)
    text = read_text(path, MAX_PROMPT).strip()
    if not text:
        raise InvalidInput(f"{path}: a prompt must have text, got none")
    return text
