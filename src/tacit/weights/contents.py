"""The bytes of a weights file, with what says whether they are as they were when the package was made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tacit.errors import PathError
from tacit.weights.catalogue import SHIPPED, shipped_path


@dataclass(frozen=True)
class Contents:
    """What a weights file holds."""

    data: bytes
    """All of it."""

    sha256: tuple[str, str | None] | None
    """Of a file in the package, its hash and the one that it must have; of others nothing."""


def read_contents(path: Path) -> Contents:
    """Read a weights file.

    Raises:
        PathError: The file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    shipped = path == shipped_path(path.stem)
    return Contents(data, (hashlib.sha256(data).hexdigest(), SHIPPED.get(path.stem)) if shipped else None)
