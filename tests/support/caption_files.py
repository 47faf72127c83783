"""Images and shards to caption, and the rows that are written of them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


def save(path: Path, colour: tuple[int, ...] = (200, 30, 40), size: tuple[int, int] = (96, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour).save(path)
    return path


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "PNG")
    return file.getvalue()


def rows(path: Path | str = "captions.jsonl") -> dict[str, str]:
    return {(row := json.loads(line))["file"]: row["captions"][0] for line in Path(path).read_text().splitlines()}
