"""Stores: whole files or none, on this machine and elsewhere."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tacit.bulk.store import ShardStore
from tacit.errors import PathError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ShardStore]:
    """A folder on this machine, and one that is renamed in by copying."""
    if request.param == "local":
        yield ShardStore(str(tmp_path / "store"))
    else:
        yield ShardStore(f"memory://{tmp_path.name}/store")
        fsspec.filesystem("memory").store.clear()


def test_a_store_writes_whole_files_or_none(store: ShardStore) -> None:
    with store.create("a/b.tar") as part:
        part.stream.write(b"first")
    assert part.written.bytes == 5
    assert part.written.sha256 == hashlib.sha256(b"first").hexdigest()

    def fail() -> None:
        with store.create("a/b.tar") as part:
            part.stream.write(b"second")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert store.read("a/b.tar") == b"first"
    store.put("a/b.tar", b"third")
    assert {name: stat.size for name, stat in store.list().items()} == {"a/b.tar": 5}
    with store.open("a/b.tar") as stream:
        assert stream.read() == b"third"
    assert store.read("nothing") is None
    store.remove(["a/b.tar"])
    store.remove(["a/b.tar"])
    assert store.list() == {}


def test_a_stamp_changes_with_the_file(store: ShardStore) -> None:
    store.put("a", b"12")
    before = store.list()["a"]
    assert store.list()["a"] == before
    time.sleep(0.01)
    store.put("a", b"34")
    assert store.list()["a"] != before


def test_errors_of_stores_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"gone.*No such file"):
        ShardStore(str(tmp_path / "gone")).stat("")
    with pytest.raises(PathError, match="nosuch"):
        ShardStore("nosuch://a")


def test_a_process_that_is_killed_leaves_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    code = """
import os, signal
from tacit.bulk.store import ShardStore
with ShardStore("memory://a").create("b") as part:
    part.stream.write(b"x" * 100_000)
    part.stream.flush()
    print(os.fstat(part.stream.fileno()).st_size, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (-signal.SIGKILL, "100000", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_on_this_machine_is_listed_with_what_links_lead_to(tmp_path: Path) -> None:
    for name in ("in/a.jpg", "in/.b/c.jpg", "other/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "in" / "link").symlink_to("../other")
    (tmp_path / "in" / "e.jpg").symlink_to("../other/d.jpg")
    (tmp_path / "in" / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "other" / "back").symlink_to("../in")
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    store = ShardStore(str(tmp_path / "in"))
    listed = store.list()
    assert list(listed) == [".b/c.jpg", "a.jpg", "e.jpg", "gone.jpg", "link/d.jpg"]
    assert listed["e.jpg"] == listed["link/d.jpg"] == store.stat("e.jpg")
    assert listed["e.jpg"].size == 5
    assert store.list(".b") == {".b/c.jpg": listed[".b/c.jpg"]}
    assert store.list("none") == {}
    assert store.read("gone.jpg") is None
