"""The rules that a text must keep to be a caption of a `.tacit` file."""

from __future__ import annotations

import unicodedata

from tacit.container import MAX_CAPTION
from tacit.errors import CaptionerError, InvalidInput


def check_caption(text: str, source: str = "") -> str:
    """Return a caption that a person or a file supplied, without the blanks around it.

    Args:
        text: The caption; it may be empty.
        source: Where the caption comes from, such as a file's name; error messages begin with it.

    Raises:
        InvalidInput: The caption has a control character or more than 65,535 bytes.
    """
    text = text.strip()
    prefix = f"{source}: " if source else ""
    for position, character in enumerate(text):
        if _is_control(character) and character not in "\t\n\r":
            code = f"U+{ord(character):04X}"
            raise InvalidInput(f"{prefix}caption must have no control characters, got {code} at position {position}")
    if (size := len(text.encode())) > MAX_CAPTION:
        raise InvalidInput(f"{prefix}caption must have at most {MAX_CAPTION:,} bytes of UTF-8, got {size:,}")
    return text


def tidy_answer(answer: str) -> str:
    """Turn a model's answer into a caption: one paragraph without control characters.

    Raises:
        CaptionerError: No text is left, or more than 65,535 bytes.
    """
    text = "".join(c for c in answer if c.isspace() or not _is_control(c))
    text = " ".join(text.split())
    if not text:
        raise CaptionerError("the answer is empty")
    if (size := len(text.encode())) > MAX_CAPTION:
        raise CaptionerError(f"the answer must have at most {MAX_CAPTION:,} bytes of UTF-8, got {size:,}")
    return text


def _is_control(character: str) -> bool:
    # Surrogates (Cs) are what undecodable bytes on the command line become; UTF-8 cannot encode them.
    return unicodedata.category(character) in ("Cc", "Cs")
