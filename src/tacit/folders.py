"""Folders that tacit keeps things in on this machine."""

from __future__ import annotations

import os
from pathlib import Path

WEIGHTS_VARIABLE = "TACIT_WEIGHTS"


def weights_folder() -> Path:
    """Return the folder of weights that did not come with the package: $TACIT_WEIGHTS, else in the user's data folder.

    The folder need not exist.
    """
    if chosen := os.environ.get(WEIGHTS_VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "tacit" / "weights"
