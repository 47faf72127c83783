"""A cache of captioners' answers on disk, so that none is paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from tacit import files


def default_folder() -> Path:
    """Return `$XDG_CACHE_HOME/tacit/captions`, or `~/.cache/tacit/captions` where that variable is not set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tacit" / "captions"


class AnswerCache:
    """Captions by the hash of an image's bytes and a captioner's settings, in one small JSON file each.

    The settings themselves (an endpoint's address, the prompt) are not stored; they only enter the hash.

    Args:
        folder: Where the files are; it need not exist.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def find(self, image: bytes, settings: Mapping[str, str | int]) -> str | None:
        """Return the caption that is stored for an image, or None; a file that cannot be read counts as none.

        Args:
            image: The bytes of the image's file.
            settings: The captioner's settings (`Captioner.settings`).
        """
        try:
            entry = json.loads(self._path(image, settings).read_bytes())
        except (OSError, ValueError):
            return None
        caption = entry.get("caption") if isinstance(entry, dict) else None
        return caption if isinstance(caption, str) and caption else None

    def store(self, image: bytes, settings: Mapping[str, str | int], caption: str) -> None:
        """Store a caption under an image and settings, as `find` takes them.

        Raises:
            PathError: The file cannot be written.
        """
        entry = json.dumps({"caption": caption, "model": settings.get("model")})
        files.write(str(self._path(image, settings)), entry.encode(), force=True)

    def _path(self, image: bytes, settings: Mapping[str, str | int]) -> Path:
        content = hashlib.sha256(image).hexdigest()
        key = json.dumps([content, sorted(settings.items())])
        name = hashlib.sha256(key.encode()).hexdigest()
        # Folders of their own by the first two digits: a million files in one are slow to list.
        return self.folder / name[:2] / f"{name[2:]}.json"
