"""WebDataset shards of synthetic pictures with captions."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from support.pictures import synthetic


def photo(seed: int = 0, width: int = 48, height: int = 40, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(synthetic(width, height, seed)).save(stream, format)
    return stream.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size, about.mtime = len(data), 1_700_000_000
            tar.addfile(about, io.BytesIO(data))
    return path


def sample(key: str, seed: int, caption: str = "waves") -> dict[str, bytes]:
    about = json.dumps({"caption": f"{caption} in json", "key": key}).encode()
    return {f"{key}.png": photo(seed), f"{key}.txt": caption.encode(), f"{key}.json": about}
