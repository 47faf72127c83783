"""Sources: folders, patterns and addresses."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.bulk_runner import Runner, read_tar, write_files
from support.shards import sample, write_tar
from tacit.bulk import StorageKind
from tacit.bulk.source import open_source
from tacit.errors import InvalidInput, PathError

pytest.importorskip("fsspec")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The folder `served` of the test's own folder, over HTTP."""
    (tmp_path / "served").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    address = ("127.0.0.1", 0)
    with http.server.ThreadingHTTPServer(address, partial(Handler, directory=str(tmp_path / "served"))) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()
        thread.join()


def test_a_source_is_what_it_looks_like(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = write_files(tmp_path / "folder", {"a/1.jpg": b"", "meta.parquet": b"", ".b/2.jpg": b"", "._1.jpg": b""})
    shards = write_files(tmp_path / "shards", {"0.tar": b"", "0.parquet": b"", "_tacit/run.json": b"{}"})
    tables = write_files(tmp_path / "tables", {"0.parquet": b"", "readme.md": b""})
    assert open_source(str(folder), None, False).kind == StorageKind.FOLDER
    assert set(open_source(str(folder), None, False).files) == {"a/1.jpg", "meta.parquet"}
    assert open_source(str(shards), None, False).kind == StorageKind.TAR
    assert set(open_source(str(shards), None, False).files) == {"0.tar", "0.parquet"}
    assert open_source(str(tables), None, False).kind == StorageKind.PARQUET
    assert open_source(str(tmp_path / "shards" / "0.tar"), None, False).files.keys() == {"0.tar"}

    write_files(shards, {"1.jpg": b""})
    with pytest.raises(InvalidInput, match="--from tar or --from folder"):
        open_source(str(shards), None, False)
    assert open_source(str(shards), StorageKind.TAR, False).kind == StorageKind.TAR
    with pytest.raises(PathError, match="no image there"):
        open_source(str(tables), StorageKind.FOLDER, False)
    with pytest.raises(PathError, match=r"no \.tacit file there"):
        open_source(str(folder), StorageKind.FOLDER, True)
    with pytest.raises(PathError, match="No such file"):
        open_source(str(tmp_path / "gone"), None, False)


def test_patterns_of_shards(tmp_path: Path) -> None:
    pytest.importorskip("braceexpand")
    folder = write_files(tmp_path, {f"x/{n:03}.tar": b"" for n in range(12)})
    braces = open_source(f"{folder}/x/{{002..004}}.tar", None, False)
    assert list(braces.files) == ["002.tar", "003.tar", "004.tar"]
    assert list(open_source(f"{folder}/*/00[12].tar", None, False).files) == ["x/001.tar", "x/002.tar"]
    with pytest.raises(PathError, match=r"012\.tar"):
        open_source(f"{folder}/x/{{011..099}}.tar", None, False)
    with pytest.raises(PathError, match="no files there"):
        open_source(f"{folder}/x/9*.tar", None, False)


def test_a_source_over_http(tmp_path: Path, server: str, runner: Runner) -> None:
    pytest.importorskip("braceexpand")
    for n in range(2):
        write_tar(tmp_path / "served" / f"{n:02}.tar", sample(f"{n}", n))
    entries, errors = runner(f"{server}/{{00..01}}.tar", tmp_path / "out")
    assert not errors
    assert sorted(entries) == ["00", "01"]
    assert sorted(read_tar(tmp_path / "out" / "01.tar")) == ["1.json", "1.tacit", "1.txt"]
    # a folder, too, where the server lists it
    entries, errors = runner(f"{server}/", tmp_path / "listed")
    assert (sorted(entries), errors) == (["00", "01"], {})
