"""Every kind of write, in a process of its own that may be killed in the middle, or whose disk may be full.

`python -m support.writes KIND FOLDER CONTENT LIMIT`: with a limit, the process dies at that byte of a file, as it would
of SIGKILL; with 0 it has none.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from tacit import files
from tacit.errors import PathError, TacitError

LENGTH = 60_000  # bytes that each kind writes, at least


def _write_file(folder: Path, content: str) -> None:
    files.write(str(folder / "file"), content.encode() * LENGTH, force=True)


def _read_file(folder: Path) -> str:
    data = (folder / "file").read_bytes()
    assert len(data) == LENGTH
    return data[:1].decode()


def _write_shard(folder: Path, content: str) -> None:
    from tacit.bulk.store import ShardStore

    with ShardStore(str(folder)).create("0.tar") as part:
        for _ in range(60):
            part.stream.write(content.encode() * (LENGTH // 60))


def _read_shard(folder: Path) -> str:
    from tacit.bulk.store import ShardStore

    store = ShardStore(str(folder))
    data = store.read("0.tar")
    assert data is not None
    assert len(data) == LENGTH
    return data[:1].decode()


def _write_captions(folder: Path, content: str) -> None:
    from tacit.captions.caption_file import CaptionFile

    with CaptionFile(folder / "captions.jsonl") as rows:
        for number in range(60):
            if str(folder / f"{number}.jpg") not in rows:
                rows.add(str(folder / f"{number}.jpg"), content * (LENGTH // 60), "test")


def _read_captions(folder: Path) -> str:
    from tacit.captions.caption_map import CaptionMap

    captions = CaptionMap.load(folder / "captions.jsonl").captions
    assert all(len(caption) == LENGTH // 60 for caption in captions.values())
    return captions[f"{len(captions) - 1}.jpg"][0]  # the last one


def _write_journal(folder: Path, content: str) -> None:
    from tacit.evaluation.journal import Journal

    with Journal(folder / "journal.jsonl") as journal:
        for number in range(60):
            journal.append({"key": str(number), "value": content * (LENGTH // 60)})


def _read_journal(folder: Path) -> str:
    from tacit.evaluation.journal import Journal

    with Journal(folder / "journal.jsonl") as journal:
        assert all(len(entry["value"]) == LENGTH // 60 for entry in journal.entries.values())
        return str(journal.entries[str(len(journal.entries) - 1)]["value"][0])


def _write_tensors(folder: Path, content: str) -> None:
    import torch

    from tacit.training.dataset.caption_files import write_caption_file

    tensors = {"x": torch.full((LENGTH,), ord(content), dtype=torch.uint8)}
    write_caption_file(folder / "captions-0000.safetensors", tensors, {})


def _read_tensors(folder: Path) -> str:
    from tacit.training.dataset.caption_files import read_caption_file

    tensors, _ = read_caption_file(folder / "captions-0000.safetensors", "x")
    return chr(int(tensors["x"].unique().item()))


def _images(folder: Path, content: str) -> Path:
    """Images of one level, in a folder that is no part of what is tested."""
    images = folder.parent / f"images-{content}"
    images.mkdir(exist_ok=True)
    for number in range(3):
        if not (path := images / f"{number}.bmp").exists():
            Image.new("RGB", (100, 100), (ord(content),) * 3).save(path)
    return images


def _write_pool(folder: Path, content: str) -> None:
    from tacit.training.dataset.pool import build_pool

    rows = [{"file": f"{number}.bmp", "captions": [content]} for number in range(3)]
    build_pool(rows, _images(folder, content), folder / "pool", 10)


def _read_pool(folder: Path) -> str:
    import numpy as np

    from tacit.training.dataset.pool import open_pool

    pool = open_pool(folder / "pool")
    levels = {int(pool.crop(index, 10, np.random.default_rng(0))[0, 0, 0]) for index in range(3)}
    assert len(levels) == 1
    return chr(levels.pop())


def _write_bundle(folder: Path, content: str) -> None:
    from tacit.training.dataset.bundle import write_bundle
    from tacit.training.dataset.image_files import read_folder

    write_bundle(read_folder(_images(folder, content)), folder / "bundle", 10, lambda name, why: None)


def _read_bundle(folder: Path) -> str:
    import numpy as np

    from tacit.training.dataset.bundle import read_bundle

    pool = read_bundle(folder / "bundle")
    levels = {int(pool.crop(index, 10, np.random.default_rng(0))[0, 0, 0]) for index in range(3)}
    assert len(levels) == 1
    return chr(levels.pop())


KINDS: Mapping[str, tuple[Callable[[Path, str], None], Callable[[Path], str]]] = {
    "file": (_write_file, _read_file),
    "shard": (_write_shard, _read_shard),
    "captions": (_write_captions, _read_captions),
    "journal": (_write_journal, _read_journal),
    "tensors": (_write_tensors, _read_tensors),
    "pool": (_write_pool, _read_pool),
    "bundle": (_write_bundle, _read_bundle),
}
"""What writes something that is all of one letter, and what reads that letter, or fails for what is not whole."""


def main() -> None:
    kind, folder, content, limit = sys.argv[1:]
    if int(limit):
        _images(Path(folder), content)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it; now it kills
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    try:
        KINDS[kind][0](Path(folder), content)
    except PathError as error:
        sys.exit(f"PathError: {error}")
    except TacitError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
