"""Walking through folders, links to folders included."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator


def walk(
    folder: str, *, hidden: bool = True, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder at and below `folder`, and the names of the files in it, both in order.

    A link to a folder is followed unless it leads back to a folder that it is in, where the walk would have no end.

    Args:
        folder: Where to begin.
        hidden: Whether files and folders whose names begin with a dot are walked through, too.
        onerror: Called with the error of a folder that cannot be read, which is then passed over.
    """
    above: dict[str, frozenset[tuple[int, int]]] = {}  # the folders that a folder is in, itself included
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=onerror):
        within = above.pop(parent, None) or frozenset({_identity(parent)})
        kept = []
        for name in sorted(folders):
            path = os.path.join(parent, name)
            identity = _identity(path)
            if identity not in within and (hidden or not name.startswith(".")):
                above[path] = within | {identity}
                kept.append(name)
        folders[:] = kept
        yield parent, sorted(name for name in names if hidden or not name.startswith("."))


def _identity(path: str) -> tuple[int, int]:
    """Return what is the same for all paths to a folder; where it cannot be told, something of no folder."""
    try:
        about = os.stat(path)
    except OSError:
        return -1, hash(path)
    return about.st_dev, about.st_ino
