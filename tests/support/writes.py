"""Every kind of write, in a process of its own that may be killed in the middle, or whose disk may be full or odd.

`python -m support.writes` reads writes as JSON, one a line: the kind, the folder, the content, a limit, and in what way
the files are odd (see odd_files.c). With a limit, the process dies at that byte of a file, as it would of SIGKILL; with
0 it has none.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

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

    captions = CaptionMap.load(folder / "captions.jsonl").captions.values
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
    "pool": (_write_pool, _read_pool),
    "bundle": (_write_bundle, _read_bundle),
}
"""What writes something that is all of one letter, and what reads that letter, or fails for what is not whole."""


def main() -> None:
    """Answer each line of the standard input, a write as JSON, with its exit status and its messages."""
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.dup2(writer, 2)
            _write(**json.loads(line))
        os.close(writer)
        with open(reader, encoding="utf-8") as stream:
            messages = stream.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), messages]), flush=True)


def _write(kind: str, folder: str, content: str, limit: int, odd: str) -> NoReturn:
    try:
        os.environ |= {"ODD_FILES": odd, "ODD_FOLDER": folder}
        if limit:
            _images(Path(folder), content)
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it; now it kills
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        KINDS[kind][0](Path(folder), content)
    except TacitError as error:
        print(f"{'PathError' if isinstance(error, PathError) else type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    except BaseException:
        traceback.print_exc()
        os._exit(2)
    os._exit(0)


if __name__ == "__main__":
    import tacit.bulk.store
    import tacit.captions.caption_file
    import tacit.evaluation.journal
    import tacit.training.dataset.bundle
    import tacit.training.dataset.pool  # noqa: F401 - once, and not in each process

    main()
