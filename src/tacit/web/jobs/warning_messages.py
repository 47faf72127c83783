"""The messages of warnings, which an answer passes on to the client."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_messages() -> Iterator[list[str]]:
    """Collect the messages of UserWarnings; the list is filled when the block ends."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield messages
        messages += [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
