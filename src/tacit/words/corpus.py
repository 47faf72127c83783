"""Corpora of captions, which tables of words are made from."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from tacit.captions.caption_entries import parse_jsonl
from tacit.errors import PathError


def read_corpus(path: str | os.PathLike[str]) -> list[str]:
    """Read the captions of a corpus.

    Args:
        path: A JSONL file whose rows have "captions" or "caption", or any other text with a caption per line; either
            may be compressed (`.gz`).

    Raises:
        PathError: The file cannot be read, or is not UTF-8.
        InvalidInput: A line of a JSONL file is not a row of captions.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PathError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if ".jsonl" in path.suffixes:
        entries = parse_jsonl(text, str(path), files_required=False)
        return [caption for entry in entries for caption in entry.captions]
    return [line for line in (line.strip() for line in text.split("\n")) if line]
