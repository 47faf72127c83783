"""What tests of the command line share: small image files, what is in a folder, and standard streams in memory."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image


def make_image(path: str, size: tuple[int, int] = (6, 4), mode: str = "RGB", **options: Any) -> Path:
    """Save an image of one colour."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 77).save(path, **options)
    return Path(path)


def tree(folder: str = ".") -> list[str]:
    """Return all files below a folder, temporary and hidden ones included."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


def records(text: str) -> list[dict[str, Any]]:
    """Parse lines of JSON."""
    return [json.loads(line) for line in text.splitlines()]


class Pipe(io.TextIOWrapper):
    """A standard stream on bytes in memory."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", write_through=True)

    def sent(self) -> bytes:
        """Return what was written."""
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()
