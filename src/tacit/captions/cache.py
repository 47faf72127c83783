"""Answers on disk, so that none is paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from tacit import files


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/tacit/captions`, `~/.cache/tacit/captions` where that is not set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tacit" / "captions"


class AnswerCache:
    """Captions by the hash of an image's bytes and a captioner's settings: one small JSON file each.

    The settings themselves (an endpoint's address, the prompt) are not stored, only their part in the hash.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def find(self, image: bytes, settings: Mapping[str, str | int]) -> str | None:
        """The answer that is kept for this image; one that cannot be read counts as none."""
        try:
            entry = json.loads(self._path(image, settings).read_bytes())
        except (OSError, ValueError):
            return None
        caption = entry.get("caption") if isinstance(entry, dict) else None
        return caption if isinstance(caption, str) and caption else None

    def keep(self, image: bytes, settings: Mapping[str, str | int], caption: str) -> None:
        """Keep an answer.

        Raises: PathError.
        """
        entry = json.dumps({"caption": caption, "model": settings.get("model")})
        files.write(str(self._path(image, settings)), entry.encode(), force=True)

    def _path(self, image: bytes, settings: Mapping[str, str | int]) -> Path:
        content = hashlib.sha256(image).hexdigest()
        said = json.dumps([content, sorted(settings.items())])
        name = hashlib.sha256(said.encode()).hexdigest()
        # Folders of their own by the first two digits: a million files in one are slow to list.
        return self.folder / name[:2] / f"{name[2:]}.json"
