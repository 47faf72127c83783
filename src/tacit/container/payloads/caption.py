"""The payload of a caption: UTF-8 without control characters."""

from __future__ import annotations

import unicodedata

from tacit.errors import CorruptFile, FileError, InvalidInput

MAX_CAPTION = 65_535
"""Bytes of UTF-8."""


def check_caption(caption: str) -> None:
    """Check that a file may hold a caption, whether it is going to be stored or not.

    Raises:
        InvalidInput: The caption is too long, or has a character that may not be in a file.
    """
    try:
        encode(caption)
    except FileError as error:
        raise InvalidInput(f"caption {error}") from None


def encode(caption: str) -> bytes:
    """Return the payload for a caption.

    Raises:
        CorruptFile: A file may not hold this caption.
    """
    try:
        payload = caption.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorruptFile(
            f"must be of characters, got U+{ord(caption[error.start]):04X} at character {error.start}, "
            "which is half a pair of surrogates"
        ) from None
    decode(memoryview(payload))
    return payload


def decode(payload: memoryview) -> str:
    """Return the caption in a payload.

    Raises:
        CorruptFile: The caption is too long, not UTF-8, or has control characters.
    """
    if len(payload) > MAX_CAPTION:
        raise CorruptFile(f"must have at most {MAX_CAPTION} bytes of UTF-8, got {len(payload)}")
    try:
        caption = str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"must be UTF-8, got another byte at {error.start}") from None
    for place, character in enumerate(caption):
        if unicodedata.category(character) == "Cc" and character not in "\t\n\r":
            raise CorruptFile(
                "must have no control character but tab, line feed and carriage return, "
                f"got U+{ord(character):04X} at character {place}"
            )
    return caption
