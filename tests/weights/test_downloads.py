"""Downloading weights: from a server on this machine."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tacit import cli, weights
from tacit.errors import CorruptWeights, MissingWeights, PathError, UnknownModel
from tacit.weights import catalogue, downloads
from tacit.weights.downloads import Source


class Server(BaseHTTPRequestHandler):
    """Serves one file, and ends or refuses as it is told."""

    content: ClassVar[bytes] = b""
    ends_after: ClassVar[int | None] = None
    ranges: ClassVar[bool] = True
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.asked.append(wanted)
        if self.path != "/new.safetensors":
            self.send_error(404)
            return
        start = int(wanted[len("bytes=") : -1]) if wanted and self.ranges else 0
        body = self.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.ends_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    """A server with the weights `new`; it lacks `gone`, and what it has as `wrong` are others."""

    class Served(Server):
        content = tiny_weights.read_bytes()
        asked: ClassVar[list[str | None]] = []

    served = Served
    listening = ThreadingHTTPServer(("127.0.0.1", 0), served)
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    base, size = f"http://127.0.0.1:{listening.server_address[1]}", len(served.content)
    digest = hashlib.sha256(served.content).hexdigest()
    rows = {
        "new": Source(f"{base}/new.safetensors", digest, size),
        "gone": Source(f"{base}/gone.safetensors", digest, size),
        "wrong": Source(f"{base}/new.safetensors", "0" * 64, size),
        "later": Source(None, digest, size),
    }
    monkeypatch.setattr(downloads, "SOURCES", rows)
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path / "own"))
    yield served
    listening.shutdown()
    listening.server_close()


def test_what_was_downloaded_is_found_by_name(
    server: type[Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "own" / "new.safetensors"
    assert cli.main(["models", "--download", "new"]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert target.read_bytes() == server.content
    assert weights.locate("new") == target
    assert [p.name for p in target.parent.iterdir()] == ["new.safetensors"]
    assert weights.download("new") == target
    assert len(server.asked) == 1, "what is there is not fetched again"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_ended_goes_on(server: type[Server], tmp_path: Path, ranges: bool) -> None:
    server.ends_after, server.ranges = 5000, ranges
    with pytest.raises(MissingWeights, match=r"after 5,000 of [\d,]+ bytes; the same command goes on from there"):
        weights.download("new")
    assert not (tmp_path / "own" / "new.safetensors").exists()
    server.ends_after = None
    seen: list[int] = []
    path = weights.download("new", lambda done, size: seen.append(done))
    assert path.read_bytes() == server.content
    assert server.asked == [None, "bytes=5000-"]
    assert seen[-1] == len(server.content)


def test_another_file_is_not_kept(server: type[Server], tmp_path: Path) -> None:
    with pytest.raises(CorruptWeights, match="sha256 must be"):
        weights.download("wrong")
    assert list((tmp_path / "own").iterdir()) == []


def test_a_file_of_ones_own_stays(server: type[Server], tmp_path: Path) -> None:
    own = tmp_path / "own" / "new.safetensors"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    with pytest.raises(PathError, match="is another file than the new that can be downloaded; rename it first"):
        weights.download("new")
    assert own.read_bytes() == b"mine"


def test_what_cannot_be_downloaded_is_one_line(
    server: type[Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownModel, match="must be one of new, gone, wrong, later, got 'newer'"):
        weights.download("newer")
    with pytest.raises(MissingWeights, match="later cannot be downloaded yet"):
        weights.download("later")
    with pytest.raises(
        MissingWeights, match=r"gone cannot be downloaded: http.*/gone.safetensors answered 404 Not Found"
    ):
        weights.download("gone")
    nobody = Source("http://127.0.0.1:9/new.safetensors", "0" * 64, 1)
    monkeypatch.setitem(downloads.SOURCES, "nobody", nobody)
    assert cli.main(["models", "--download", "nobody"]) == 1
    assert capsys.readouterr().err.startswith("tacit: nobody cannot be downloaded: http://127.0.0.1:9/")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path / "file" / "own"))
    with pytest.raises(PathError, match="cannot write"):
        weights.download("new")


def test_a_full_disk_is_said(server: type[Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def move(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "move", move)
    with pytest.raises(PathError, match=r"cannot write .*new\.safetensors: No space left on device"):
        weights.download("new")


def test_a_package_without_its_weights_uses_those_that_were_downloaded(
    server: type[Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "package")
    monkeypatch.setitem(downloads.SOURCES, "tacit-s", downloads.SOURCES["new"])
    with pytest.raises(MissingWeights, match="tacit models --download tacit-s"):
        weights.locate("tacit-s")
    path = weights.download("tacit-s")
    assert weights.locate("tacit-s") == path == tmp_path / "own" / "tacit-s.safetensors"


def test_the_table_is_that_of_the_shipped_files() -> None:
    for name, digest in weights.SHIPPED.items():
        source = downloads.SOURCES[name]
        path = catalogue.shipped_path(name)
        assert (source.sha256, source.size) == (digest, path.stat().st_size)
        assert weights.download(name) == path, "what the package has is not fetched"
    assert all(source.url is None or source.url.startswith("https://") for source in downloads.SOURCES.values())
