"""Warnings about what a conversion loses, and the text of others' errors in ours."""

from __future__ import annotations

import warnings


class ConversionWarning(UserWarning):
    """Something of an image could not be kept as it was."""


def warn(message: str, stacklevel: int = 3) -> None:
    """Warn of what a conversion loses, at the line that called the caller."""
    warnings.warn(message, ConversionWarning, stacklevel=stacklevel)


def one_line(error: Exception) -> str:
    """Return an error's message on one line, or the name of its type where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
