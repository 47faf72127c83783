"""Bulk runs without Ray: sources, plans, one unit at a time, the manifest, the command's options."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tacit
from support.pictures import synthetic
from support.shards import photo, sample, write_tar
from tacit import cli
from tacit.bulk import Cluster, Interrupted, Job, Kind, TooManyFailures, run
from tacit.bulk.ahead import ahead
from tacit.bulk.cluster import _Worker
from tacit.bulk.convert import TRIES_OF_UNIT, _windows, attempt, convert
from tacit.bulk.engine import Encoder, Engine, Prepared, engine
from tacit.bulk.manifest import FAILURES, MANIFEST, TRIES, Entry, Manifest, entry_name
from tacit.bulk.readers import read
from tacit.bulk.record import Record, is_inside, split_file, split_member
from tacit.bulk.sources import Plan, open_source, plan
from tacit.bulk.store import PARTS, Store
from tacit.bulk.summary import Total
from tacit.bulk.unit import Unit
from tacit.captions import CaptionMap
from tacit.codec import Codec
from tacit.errors import CorruptFile, InvalidInput, PathError, TacitError
from tacit.evaluation.metrics import psnr

fsspec = pytest.importorskip("fsspec")


def read_tar(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        names = tar.getnames()
        assert len(names) == len(set(names)), "a member is there twice"
        return {name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.startswith("_tacit/")}


@pytest.fixture(scope="module")
def engines(tiny_weights: Path) -> Callable[[Job], Engine]:
    """Engines with the small model, made once for each kind of job."""
    made: dict[bool, Engine] = {}

    def get(job: Job) -> Engine:
        if job.decode not in made:
            made[job.decode] = engine(job)
        found = made[job.decode]
        if isinstance(found, Encoder):
            found.job = job
        else:
            found.suffix = job.format  # type: ignore[attr-defined]
        return found

    return get


class Runner:
    """A run without Ray: units one after the other."""

    def __init__(self, engines: Callable[[Job], Engine], weights: Path) -> None:
        self.engines, self.weights = engines, weights

    def job(self, source: Path | str, destination: Path | str, **options: Any) -> Job:
        return Job(str(source), str(destination), model=str(self.weights), **options)

    def plan(self, job: Job, captions: CaptionMap | None = None) -> tuple[Job, Plan, Manifest]:
        source = open_source(job.source, job.kind, job.decode)
        job = replace(job, source=source.store.url, kind=source.kind, to=job.to or source.kind)
        store = Store(job.destination)
        manifest = Manifest(store, job.settings())
        return job, plan(source, job, manifest.entries, store.list(), captions), manifest

    def __call__(
        self, source: Path | str, destination: Path | str, captions: CaptionMap | None = None, **options: Any
    ) -> tuple[dict[str, Entry], dict[str, str]]:
        """Entries and errors of the units that were done now."""
        job, todo, manifest = self.plan(self.job(source, destination, **options), captions)
        entries, errors = {}, {}
        for unit in todo.units:
            result = attempt(unit, job, self.engines(job))
            if isinstance(result, Entry):
                manifest.add(result)
                entries[unit.name] = result
            else:
                errors[unit.name] = result
        manifest.fold()
        manifest.close()
        return entries, errors


@pytest.fixture
def runner(engines: Callable[[Job], Engine], tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    # what is decoded names its weights by hash
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_weights.parent))
    return Runner(engines, tiny_weights)


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


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "member", "file"),
    [
        ("a/0001.jpg", ("a/0001", "jpg"), ("a/0001", "jpg")),
        ("a.b/0001.seg.png", ("a.b/0001", "seg.png"), ("a.b/0001.seg", "png")),
        ("a.b/README", ("a.b/README", ""), ("a.b/README", "")),
        (".hidden.txt", (".hidden", "txt"), (".hidden", "txt")),
    ],
)
def test_names_are_split(name: str, member: tuple[str, str], file: tuple[str, str]) -> None:
    assert split_member(name) == member
    assert split_file(name) == file


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "C:/a", "a\\..\\b", "a\0", ""])
def test_names_that_lead_out_are_told(name: str) -> None:
    assert not is_inside(name)
    assert is_inside("a/b..c/d.tacit")


# -- stores -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A folder on this machine, and one that is renamed in by copying."""
    if request.param == "local":
        yield Store(str(tmp_path / "store"))
    else:
        yield Store(f"memory://{tmp_path.name}/store")
        fsspec.filesystem("memory").store.clear()


def test_a_store_writes_whole_files_or_none(store: Store) -> None:
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


def test_a_stamp_changes_with_the_file(store: Store) -> None:
    store.put("a", b"12")
    before = store.list()["a"]
    assert store.list()["a"] == before
    time.sleep(0.01)
    store.put("a", b"34")
    assert store.list()["a"] != before


def test_errors_of_stores_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"gone.*No such file"):
        Store(str(tmp_path / "gone")).stat("")
    with pytest.raises(PathError, match="nosuch"):
        Store("nosuch://a")


# -- sources ----------------------------------------------------------------------------------------------------------


def test_a_source_is_what_it_looks_like(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = write_files(tmp_path / "folder", {"a/1.jpg": b"", "meta.parquet": b"", ".b/2.jpg": b"", "._1.jpg": b""})
    shards = write_files(tmp_path / "shards", {"0.tar": b"", "0.parquet": b"", "_tacit/run.json": b"{}"})
    tables = write_files(tmp_path / "tables", {"0.parquet": b"", "readme.md": b""})
    assert open_source(str(folder), None, False).kind == Kind.FOLDER
    assert set(open_source(str(folder), None, False).files) == {"a/1.jpg", "meta.parquet"}
    assert open_source(str(shards), None, False).kind == Kind.TAR
    assert set(open_source(str(shards), None, False).files) == {"0.tar", "0.parquet"}
    assert open_source(str(tables), None, False).kind == Kind.PARQUET
    assert open_source(str(tmp_path / "shards" / "0.tar"), None, False).files.keys() == {"0.tar"}

    write_files(shards, {"1.jpg": b""})
    with pytest.raises(InvalidInput, match="--from tar or --from folder"):
        open_source(str(shards), None, False)
    assert open_source(str(shards), Kind.TAR, False).kind == Kind.TAR
    with pytest.raises(PathError, match="no image there"):
        open_source(str(tables), Kind.FOLDER, False)
    with pytest.raises(PathError, match=r"no \.tacit file there"):
        open_source(str(folder), Kind.FOLDER, True)
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
    with pytest.raises(PathError, match="nothing there"):
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


# -- plans ------------------------------------------------------------------------------------------------------------


def entry_of(unit: Unit, written: Mapping[str, int] | None = None) -> Entry:
    files = {name: {"bytes": size, "sha256": ""} for name, size in (written or {}).items()}
    return Entry(unit.name, unit.inputs, files)


def planned(folder: Path, earlier: Mapping[str, Entry], size: int = 2, **options: Any) -> Plan:
    job = Job(str(folder), "out", shard_size=size, **options)
    return plan(open_source(str(folder), None, False), job, earlier, {})


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([f"{n}.{s}" for n in "abcdefg" for s in ("jpg", "txt")]), min_size=1), max_size=4)
)
def test_a_folder_that_grows_is_done_once_and_whole(steps: list[list[str]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = write_files(Path(name), {"0.jpg": b""})
        done: dict[str, Entry] = {}
        for step in steps:
            write_files(folder, {n: b"" for n in step if not (folder / n).exists()})
            todo = planned(folder, done)
            for unit in todo.units:
                done[unit.name] = entry_of(unit)
            inputs = [n for entry in done.values() for n in entry.inputs]
            assert sorted(inputs) == sorted(p.name for p in folder.iterdir())
            keys = [k for entry in done.values() for k in {split_file(n)[0] for n in entry.inputs}]
            assert len(keys) == len(set(keys)), "a name is in two units"
            assert not planned(folder, done).units


def test_what_has_changed_is_done_again_and_what_is_lost_is_told(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", {f"{n}.jpg": b"" for n in range(5)})
    done = {u.name: entry_of(u, {f"{u.name}.tar": 7}) for u in planned(folder, {}).units}
    assert sorted(done) == ["files-000000", "files-000001", "files-000002"]
    there = {f"{name}.tar": Store(str(folder)).list()["0.jpg"].__class__(7, "") for name in done}
    source, job = open_source(str(folder), None, False), Job(str(folder), "out", shard_size=2)
    assert plan(source, job, done, there) == Plan((), tuple(sorted(done)), 0)

    # a file of the destination is gone, or is not as long as it was
    for wrong in ({}, {"files-000001.tar": replace(there["files-000001.tar"], size=6)}):
        there_now = {**there, **wrong} if wrong else {k: v for k, v in there.items() if k != "files-000001.tar"}
        todo = plan(source, job, done, there_now)
        assert ([u.name for u in todo.units], todo.redone) == (["files-000001"], 1)
    # a caption is new
    write_files(folder, {"4.txt": b"four"})
    todo = plan(open_source(str(folder), None, False), job, done, there)
    assert [(u.name, sorted(u.inputs)) for u in todo.units] == [("files-000002", ["4.jpg", "4.txt"])]
    # photos that have been compressed may go
    (folder / "0.jpg").unlink()
    todo = plan(open_source(str(folder), None, False), job, done, there)
    assert [u.name for u in todo.units] == ["files-000002"]
    # but not if the rest of their shard has to be done again
    write_files(folder, {"1.txt": b"one"})
    with pytest.raises(InvalidInput, match=r"files-000000: 1 of its files are no longer .* 0\.jpg"):
        plan(open_source(str(folder), None, False), job, done, there)


def test_shards_that_would_become_one_are_refused(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"a.tar": b"", "a.tar.gz": b""})
    with pytest.raises(InvalidInput, match=r"a\.tar and a\.tar\.gz would both become a"):
        planned(folder, {})


def test_captions_of_a_map_go_with_their_files(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", {"x/1.jpg": b"", "x/2.jpg": b"", "2.jpg": b""})
    (tmp_path / "map.jsonl").write_text('{"file": "in/x/1.jpg", "caption": "one"}\n{"file": "2.jpg", "caption": "two"}')
    job = Job(str(folder), "out")
    todo = plan(open_source(str(folder), None, False), job, {}, {}, CaptionMap.load(tmp_path / "map.jsonl"))
    assert todo.units[0].captions == {"x/1": "one", "x/2": "two", "2": "two"}


# -- one unit ---------------------------------------------------------------------------------------------------------


def test_shards_keep_everything_but_the_images(runner: Runner, codec: Codec, tmp_path: Path) -> None:
    members = {**sample("d/0", 0), **sample("d/1", 1), "d/1.seg.png": photo(7), "d/2.txt": b"no image", "LICENSE": b"!"}
    write_tar(tmp_path / "in" / "train" / "0.tar", members)
    write_files(tmp_path / "in", {"train/0_stats.json": b"{}", "train/0.parquet": b"PAR1"})
    entries, errors = runner(tmp_path / "in", tmp_path / "out", store_caption=True)
    assert not errors
    entry = entries["train/0"]
    assert (entry.images, entry.failed, entry.captions, entry.others) == (2, 0, 2, 2)
    assert entry.bytes_in == sum(len(members[f"d/{n}.png"]) for n in range(2))
    out = read_tar(tmp_path / "out" / "train" / "0.tar")
    assert set(out) == {name.replace("0.png", "0.tacit").replace("1.png", "1.tacit") for name in members}
    assert {n: d for n, d in out.items() if not n.endswith(".tacit")} == {
        n: d for n, d in members.items() if n not in ("d/0.png", "d/1.png")
    }
    assert entry.bytes_out == len(out["d/0.tacit"]) + len(out["d/1.tacit"])
    assert tacit.info(out["d/1.tacit"]).caption == "waves"
    assert np.asarray(codec.decode(out["d/1.tacit"])).shape == (40, 48, 3)
    # what is no shard goes along
    assert read_files(tmp_path / "out")["train/0_stats.json"] == b"{}"
    assert read_files(tmp_path / "out")["train/0.parquet"] == b"PAR1"
    # the manifest says what is there
    about = entry.files["train/0.tar"]
    data = (tmp_path / "out" / "train" / "0.tar").read_bytes()
    assert about == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    with tarfile.open(tmp_path / "out" / "train" / "0.tar") as tar:
        assert tar.getmember("d/0.tacit").mtime == 1_700_000_000


@pytest.mark.parametrize("kind", ["tar", "folder", "parquet"])
@pytest.mark.parametrize("to", ["tar", "folder", "parquet"])
def test_there_and_back_from_any_kind_to_any(runner: Runner, tmp_path: Path, kind: str, to: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    originals = {str(n): photo(n) for n in range(3)}
    source = tmp_path / "in"
    if kind == "tar":
        write_tar(source / "s.tar", {k: v for n in originals for k, v in sample(n, int(n)).items()})
    elif kind == "folder":
        write_files(source, {k: v for n in originals for k, v in sample(n, int(n)).items()})
    else:
        rows = {"key": list(originals), "image": list(originals.values()), "caption": ["waves"] * 3, "n": [1, 2, 3]}
        source.mkdir()
        parquet.write_table(pyarrow.table(rows), source / "s.parquet")
    entries, errors = runner(source, tmp_path / "small", to=Kind(to), quality=90, verify=True)
    assert not errors
    assert [(e.images, e.captions, e.verified) for e in entries.values()] == [(3, 3, 3)]
    # back to the first kind
    _, errors = runner(tmp_path / "small", tmp_path / "back", decode=True, to=Kind(kind))
    assert not errors
    back = {}
    for path in (tmp_path / "back").rglob("*"):
        if path.suffix == ".tar":
            back |= {Path(name).name: data for name, data in read_tar(path).items()}
        elif path.suffix == ".parquet":
            table = parquet.read_table(path)
            back |= {f"{Path(r['key']).name}.png": r["image"] for r in table.to_pylist()}
            assert set(table["caption"].to_pylist()) == {"waves"}
        elif path.is_file() and "_tacit" not in path.parts:
            back[path.name] = path.read_bytes()
    for key, data in originals.items():
        restored, original = (np.asarray(Image.open(io.BytesIO(d)), float) for d in (back[f"{key}.png"], data))
        assert np.abs(restored - original).mean() < 12
        if kind != "parquet":
            assert back[f"{key}.txt"] == b"waves"
            assert back[f"{key}.json"] == sample(key, 0)[f"{key}.json"]


def test_a_mirrored_folder_has_the_same_names(runner: Runner, tmp_path: Path) -> None:
    files = {
        "a/photo.v2.JPG": photo(0, format="JPEG"),
        "a/photo.v2.txt": b"waves",
        "b/c/x.webp": photo(1, format="WEBP"),
    }
    files |= {"b/notes.tar.bz": b"odd", "same.jpg": photo(2), "same.png": photo(3)}
    write_files(tmp_path / "in", {**files, ".hidden.jpg": b""})
    entries, errors = runner(tmp_path / "in", tmp_path / "out", shard_size=2)
    assert not errors
    out = read_files(tmp_path / "out")
    assert set(out) == {
        "a/photo.v2.tacit", "a/photo.v2.txt", "b/c/x.tacit", "b/notes.tar.bz", "same.tacit", "same.png",
    }  # fmt: skip
    assert out["same.png"] == files["same.png"], "a second image of a name stays"
    assert out["b/notes.tar.bz"] == b"odd"
    assert sum(e.images for e in entries.values()) == 3
    assert {name for e in entries.values() for name in e.files} == set(out)


def test_shards_of_a_folder_have_names_that_webdataset_reads(runner: Runner, tmp_path: Path) -> None:
    write_files(
        tmp_path / "in", {"a/1.0.png": photo(0), "a/1.0.txt": b"one", "a/1_0.png": photo(1), "b.d/2.png": photo(2)}
    )
    _, errors = runner(tmp_path / "in", tmp_path / "out", to=Kind.TAR)
    assert not errors
    out = read_tar(tmp_path / "out" / "files-000000.tar")
    assert set(out) == {"a/1_0.tacit", "a/1_0.txt", "a/1_0-2.tacit", "b.d/2.tacit"}


def test_large_files_are_copied_without_being_held(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.bulk.sources.LARGE", 1000)
    write_files(tmp_path / "in", {"1.png": photo(0), "1.bin": b"x" * 2000})
    entries, errors = runner(tmp_path / "in", tmp_path / "out", to=Kind.TAR)
    assert not errors
    assert sorted(entries) == ["copied-000000", "files-000000"]
    assert read_files(tmp_path / "out")["1.bin"] == b"x" * 2000
    assert runner(tmp_path / "in", tmp_path / "out", to=Kind.TAR) == ({}, {})


def test_bad_images_are_listed_with_their_reasons_and_cost_nobody_else(runner: Runner, tmp_path: Path) -> None:
    whole = photo(1, format="JPEG")
    members = {
        **sample("0", 0),
        "1.jpg": whole[: len(whole) // 2],
        "1.txt": b"half",
        "2.png": b"",
        "3.jpg": b"<html>404</html>",
        "4.png": photo(4),
        "4.txt": b"x" * 70_000,
        "5.png": photo(5),
        "5.tacit": b"already",
        "6.png": photo(6),
        "6.txt": b"bell \x07 and \xff",
    }
    write_tar(tmp_path / "in" / "0.tar", members)
    entries, errors = runner(tmp_path / "in", tmp_path / "out", store_caption=True)
    assert not errors
    assert (entries["0"].images, entries["0"].failed) == (2, 5)
    listed = [json.loads(line) for line in (tmp_path / "out" / FAILURES).read_text().splitlines()]
    assert [(row["shard"], row["key"]) for row in listed] == [
        ("0", "1.jpg"), ("0", "2.png"), ("0", "3.jpg"), ("0", "4.png"), ("0", "5.png"),
    ]  # fmt: skip
    assert "70,000" in listed[3]["reason"].replace("70000", "70,000")
    assert "5.tacit is there already" in listed[4]["reason"]
    out = read_tar(tmp_path / "out" / "0.tar")
    assert set(out) == {"0.tacit", "0.txt", "0.json", "6.tacit", "6.txt"}
    assert out["6.txt"] == members["6.txt"]
    assert tacit.info(out["6.tacit"]).caption == "bell and \N{REPLACEMENT CHARACTER}"


def test_a_shard_that_is_cut_off_is_an_error_and_leaves_nothing(runner: Runner, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "in" / "0.tar", {**sample("0", 0), **sample("1", 1)})
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        second = tar.getmembers()[3].offset
    path.write_bytes(whole[: second + 700])
    write_tar(tmp_path / "in" / "1.tar", sample("2", 2))
    # between two members, in the padding of one, nonsense
    cuts = {"2": whole[:second], "3": whole[: second - 10], "5": b"no tar at all"}
    write_files(tmp_path / "in", {f"{name}.tar": data for name, data in cuts.items()})
    entries, errors = runner(tmp_path / "in", tmp_path / "out")
    assert list(entries) == ["1"]
    assert sorted(errors) == ["0", "2", "3", "5"]
    assert all("not a whole tar file" in error for error in errors.values())
    assert set(read_files(tmp_path / "out")) == {"1.tar"}
    assert not list((tmp_path / "out" / PARTS).iterdir())
    # and it is tried again by the next run
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    entries, errors = runner(tmp_path / "in", tmp_path / "out")
    assert (list(entries), list(errors)) == (["0"], ["2", "3", "5"])


def test_members_cannot_leave_the_destination(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {"../../out.png": photo(0), "/etc/x.png": photo(1), "ok.png": photo(2)})
    with tarfile.open(tmp_path / "in" / "0.tar", "a") as tar:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    entries, errors = runner(tmp_path / "in", tmp_path / "a" / "b" / "out", to=Kind.FOLDER)
    assert not errors
    assert set(read_files(tmp_path / "a" / "b" / "out")) == {"0/ok.tacit"}
    assert [f["key"] for f in entries["0"].failures] == ["../../out.png", "/etc/x.png", "link.png"]
    assert not list(tmp_path.glob("a/*.tacit"))
    assert not list(tmp_path.glob("*.tacit"))


def test_tables_keep_their_columns_types_and_metadata(runner: Runner, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    schema = pyarrow.schema(
        [
            pyarrow.field("image", kind),
            pyarrow.field("text", pyarrow.list_(pyarrow.string())),
            pyarrow.field("score", pyarrow.float32()),
            pyarrow.field("when", pyarrow.timestamp("ns")),
        ],
        metadata={"huggingface": "{}"},
    )
    rows = [
        {"image": {"bytes": photo(n), "path": f"{n}.png"}, "text": ["", "waves"], "score": n / 3, "when": n}
        for n in range(70)
    ]
    rows[3]["image"] = {"bytes": None, "path": "elsewhere.png"}
    rows[4]["image"] = {"bytes": b"no image", "path": None}
    (tmp_path / "in").mkdir()
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    parquet.write_table(table, tmp_path / "in" / "t.parquet", row_group_size=20)
    entries, errors = runner(tmp_path / "in", tmp_path / "out", store_caption=True)
    assert not errors
    made = parquet.read_table(tmp_path / "out" / "t.parquet")
    table = parquet.read_table(tmp_path / "in" / "t.parquet")
    assert made.schema.equals(table.schema, check_metadata=True)
    kept = [n for n in range(70) if n not in (3, 4)]
    assert made.drop_columns("image").equals(table.take(kept).drop_columns("image"))
    about = tacit.info(made["image"][0].as_py()["bytes"])
    assert (about.caption, made["image"][0].as_py()["path"]) == ("waves", "0.png")
    reasons = [f["reason"] for f in entries["t"].failures]
    assert reasons[0] == "no bytes in the column image (elsewhere.png)"
    assert len(reasons) == 2


# What img2dataset writes of three addresses, of which one could not be fetched: the samples, and beside each shard the
# table of all that it asked for, and its statistics.
ROWS = [
    {
        "url": f"https://example.org/{n}.jpg",
        "caption": caption,
        "key": f"{n:09}",
        "status": "success" if n != 1 else "failed_to_download",
        "error_message": None if n != 1 else "HTTP Error 404: Not Found",
        "width": 48 if n != 1 else None,
        "height": 40 if n != 1 else None,
        "original_width": 96 if n != 1 else None,
        "original_height": 80 if n != 1 else None,
        "exif": "{}" if n != 1 else None,
        "sha256": f"{n:064x}" if n != 1 else None,
    }
    for n, caption in enumerate(["waves", "a lost picture", None])
]
STATS = {"count": 3, "successes": 2, "failed_to_download": 1, "failed_to_resize": 0, "duration": 1.5}


def write_img2dataset(folder: Path, form: str) -> dict[str, bytes]:
    """As its output_format of that name; returns what is no image."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    samples: dict[str, bytes] = {}
    for n, row in enumerate(ROWS):
        if row["status"] == "success":
            about = json.dumps(row, indent=4).encode()
            caption = str(row["caption"] or "").encode()
            samples |= {f"{n:09}.jpg": photo(n, format="JPEG"), f"{n:09}.json": about, f"{n:09}.txt": caption}
    columns = {name: pyarrow.int32() if "width" in name or "height" in name else pyarrow.string() for name in ROWS[0]}
    rows: list[dict[str, Any]] = [dict(row) for row in ROWS]
    if form == "parquet":
        columns["jpg"] = pyarrow.binary()
        rows = [{**row, "jpg": samples.get(f"{row['key']}.jpg")} for row in rows]
    rest = {"00000_stats.json": json.dumps(STATS, indent=4).encode()}
    write_files(folder, rest)
    parquet.write_table(
        pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(list(columns.items()))), folder / "00000.parquet"
    )
    if form == "webdataset":
        write_tar(folder / "00000.tar", samples)
    elif form == "files":
        write_files(folder / "00000", samples)
        rest |= {f"00000/{name}": data for name, data in samples.items() if not name.endswith(".jpg")}
    if form != "parquet":
        rest["00000.parquet"] = (folder / "00000.parquet").read_bytes()
    return rest


@pytest.mark.parametrize("form", ["webdataset", "files", "parquet"])
def test_what_img2dataset_writes(runner: Runner, tmp_path: Path, form: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rest = write_img2dataset(tmp_path / "in", form)
    entries, errors = runner(tmp_path / "in", tmp_path / "out", store_caption=True, verify=True)
    assert not errors
    total = Total(entries.values()).summary()
    assert (total.images, total.captions, total.verified, total.failed) == (2, 1, 2, 0), (
        "what was not fetched is not bad"
    )
    out = read_files(tmp_path / "out")
    assert {name: out[name] for name in rest} == rest
    if form == "webdataset":
        inside = read_tar(tmp_path / "out" / "00000.tar")
        assert list(inside) == [f"00000000{n}.{s}" for n in (0, 2) for s in ("tacit", "json", "txt")]
        assert json.loads(inside["000000002.json"]) == ROWS[2]
        first = inside["000000000.tacit"]
    elif form == "files":
        assert set(out) == {*rest, "00000/000000000.tacit", "00000/000000002.tacit"}
        first = out["00000/000000000.tacit"]
    else:
        before, made = (parquet.read_table(tmp_path / name / "00000.parquet") for name in ("in", "out"))
        assert made.schema.names == [*ROWS[0], "tacit"]
        assert made.drop_columns("tacit").equals(before.drop_columns("jpg"))
        files = made["tacit"].to_pylist()
        assert files[1] is None
        first = files[0]
    assert tacit.info(first).caption == "waves"
    # as shards, there is nothing to put a row without an image into; and back
    entries, errors = runner(tmp_path / "in", tmp_path / "shards", to=Kind.TAR)
    assert not errors
    keys = {
        Path(n).name.split(".")[0] for p in (tmp_path / "shards").glob("*.tar") for n in read_tar(p) if "00000000" in n
    }
    assert keys == {"000000000", "000000002"}
    entries, errors = runner(tmp_path / "out", tmp_path / "back", decode=True, format="jpeg")
    assert not errors
    assert Total(entries.values()).summary().images == 2
    if form == "parquet":
        assert parquet.read_table(tmp_path / "back" / "00000.parquet")["jpeg"][1].as_py() is None


def test_samples_without_an_image_go_through_tables(runner: Runner, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    members = {**sample("0", 0), "1.txt": b"no image", "LICENSE": b"!"}
    write_tar(tmp_path / "in" / "0.tar", members)
    assert not runner(tmp_path / "in", tmp_path / "tables", to=Kind.PARQUET)[1]
    entries, errors = runner(tmp_path / "tables", tmp_path / "back", decode=True, to=Kind.TAR)
    assert (entries["0"].images, entries["0"].others, entries["0"].failed, errors) == (1, 2, 0, {})
    assert {**read_tar(tmp_path / "back" / "0.tar"), "0.png": b""} == {**members, "0.png": b""}


def test_tables_whose_image_column_is_named_verify(runner: Runner, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in").mkdir()
    table = pyarrow.table({"png": [photo(1)], "jpg": [photo(0)], "alt": ["waves"]})
    parquet.write_table(table, tmp_path / "in" / "t.parquet")
    entries, errors = runner(tmp_path / "in", tmp_path / "out", image_column="png", verify=True)
    assert (entries["t"].verified, errors) == (1, {})
    assert parquet.read_schema(tmp_path / "out" / "t.parquet").names == ["tacit", "jpg", "alt"]
    # another caption would be another file
    with pytest.raises(InvalidInput, match="caption column"):
        runner(tmp_path / "in", tmp_path / "out", image_column="png", caption_column="alt", verify=True)
    # on the way back, the .tacit column is the one
    entries, errors = runner(tmp_path / "out", tmp_path / "back", decode=True)
    assert (entries["t"].images, errors) == (1, {})


def test_names_that_a_table_cannot_hold_are_failures(runner: Runner, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_tar(tmp_path / "in" / "0.tar", {"caf\udce9.png": photo(0), "1.png": photo(1)})
    entries, errors = runner(tmp_path / "in", tmp_path / "out", to=Kind.PARQUET)
    assert (entries["0"].images, entries["0"].failed, errors) == (1, 1, {})
    assert "cannot be a row of a table" in entries["0"].failures[0]["reason"]
    # but other shards and folders can
    entries, errors = runner(tmp_path / "in", tmp_path / "shards")
    assert (entries["0"].images, entries["0"].failed, errors) == (2, 0, {})
    assert "caf\udce9.tacit" in read_tar(tmp_path / "shards" / "0.tar")


def test_tables_without_images_say_what_there_is(runner: Runner, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in").mkdir()
    parquet.write_table(pyarrow.table({"pic": [photo(0)], "alt": ["a"]}), tmp_path / "in" / "t.parquet")
    _, errors = runner(tmp_path / "in", tmp_path / "out")
    assert "--image-column" in errors["t"]
    assert "pic (binary), alt (string)" in errors["t"]
    _, errors = runner(tmp_path / "in", tmp_path / "out2", image_column="nope")
    assert errors["t"] == "no column 'nope'; there are pic, alt"
    entries, errors = runner(tmp_path / "in", tmp_path / "out3", image_column="pic", caption_column="alt")
    assert (entries["t"].images, entries["t"].captions, errors) == (1, 1, {})


def test_warnings_are_counted(runner: Runner, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(stream, "PNG")
    write_files(tmp_path / "in", {"1.png": stream.getvalue(), "2.png": stream.getvalue()})
    entries, _ = runner(tmp_path / "in", tmp_path / "out")
    assert entries["files-000000"].warnings == {"image: 16-bit samples are reduced to 8 bits": 2}


def test_one_image_of_so_many_is_measured(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([30.0, float("inf"), 40.0])  # as an image has that decodes without any loss
    monkeypatch.setattr(Encoder, "measure", lambda self, photo, data: next(found))
    write_files(tmp_path / "in", {f"{n}.png": photo(n) for n in range(5)})
    entries, _ = runner(tmp_path / "in", tmp_path / "out", psnr_every=2)
    entry = entries["files-000000"]
    assert (entry.measured, entry.psnr) == (2, 35.0)
    assert list(found) == []


def test_a_measured_image_is_near_its_original(codec: Codec, runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"0.png": photo(0)})
    entry = runner(tmp_path / "in", tmp_path / "out", quality=80)[0]["files-000000"]
    decoded = codec.decode((tmp_path / "out" / "0.tacit").read_bytes())
    expected = psnr(np.asarray(decoded), synthetic(48, 40, 0))
    assert (entry.measured, entry.psnr) == (1, pytest.approx(expected, abs=0.05))  # with other threads, other levels
    assert 20 < entry.psnr < 60


def test_several_threads_give_the_same_order(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {f"{n}.png": photo(n) for n in range(9)})
    runner(tmp_path / "in", tmp_path / "one")
    runner(tmp_path / "in", tmp_path / "three", threads=3)
    assert list(read_tar(tmp_path / "one" / "0.tar")) == list(read_tar(tmp_path / "three" / "0.tar"))


# -- verifying --------------------------------------------------------------------------------------------------------


def test_verifying_finds_what_storage_has_changed(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    move = Store._move

    def rot(self: Store, path: Path, name: str) -> None:
        if name.endswith(".tar"):
            data = bytearray(path.read_bytes())
            data[512 + 20] ^= 1  # inside the first member, the image
            path.write_bytes(data)
        move(self, path, name)

    monkeypatch.setattr(Store, "_move", rot)
    _, errors = runner(tmp_path / "in", tmp_path / "out", verify=True)
    assert errors == {"0": "0.tacit is not as it was written"}
    assert not (tmp_path / "out" / entry_name("0")).exists()
    _, errors = runner(tmp_path / "in", tmp_path / "unseen")
    assert not errors, "without --verify nobody looks"


def test_verifying_finds_latents_that_differ(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    latents = Codec.latents
    monkeypatch.setattr(Codec, "latents", lambda self, data: latents(self, data) + 1)
    _, errors = runner(tmp_path / "in", tmp_path / "out", verify=True)
    assert errors == {"0": "0.tacit decodes to other latents than were coded"}


def test_a_batch_and_its_latents_belong_together(codec: Codec) -> None:
    pictures = [synthetic(w, h, n) for n, (w, h) in enumerate([(48, 40), (48, 40), (20, 90), (1100, 30)])]
    for (data, latents), plain in zip(codec.encode_batch_latents(pictures), codec.encode_batch(pictures), strict=True):
        assert data == plain
        assert (codec.latents(data) == latents).all()


# -- going on ---------------------------------------------------------------------------------------------------------


def test_a_unit_that_is_done_is_not_done_again(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    job, todo, _ = runner.plan(runner.job(tmp_path / "in", tmp_path / "out"))
    (unit,) = todo.units
    first = convert(unit, job, runner.engines(job))
    before = (tmp_path / "out" / "0.tar").stat().st_mtime_ns
    assert convert(unit, job, runner.engines(job)) == first
    assert (tmp_path / "out" / "0.tar").stat().st_mtime_ns == before
    # the next run finds the entry, though this one never came to its end
    assert runner(tmp_path / "in", tmp_path / "out") == ({}, {})
    assert len((tmp_path / "out" / MANIFEST).read_text().splitlines()) == 1
    assert not (tmp_path / "out" / entry_name("0")).exists()


def test_a_unit_that_costs_workers_is_left(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    job, todo, _ = runner.plan(runner.job(tmp_path / "in", tmp_path / "out"))
    store = Store(job.destination)
    store.put(f"{TRIES}/0", f"{TRIES_OF_UNIT} 1 host".encode())
    assert (
        attempt(todo.units[0], job, runner.engines(job)) == f"{TRIES_OF_UNIT} workers were lost while they were at it"
    )
    # tries of runs that were killed do not count
    assert list(runner(tmp_path / "in", tmp_path / "out")[0]) == ["0"]
    assert store.read(f"{TRIES}/0") is None


def test_failures_of_a_shard_that_is_done_again_are_not_listed_twice(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {"0.png": b"bad", "1.png": b"bad"})
    write_tar(tmp_path / "in" / "1.tar", {"2.png": b"bad"})
    runner(tmp_path / "in", tmp_path / "out")
    assert len((tmp_path / "out" / FAILURES).read_text().splitlines()) == 3
    write_tar(tmp_path / "in" / "0.tar", {"0.png": b"bad", "1.png": photo(1)})
    entries, _ = runner(tmp_path / "in", tmp_path / "out")
    assert list(entries) == ["0"]
    lines = (tmp_path / "out" / FAILURES).read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["2.png", "0.png"]
    rows = [json.loads(line) for line in (tmp_path / "out" / MANIFEST).read_text().splitlines()]
    assert [(row["name"], row["images"], row["failed"]) for row in rows] == [("0", 1, 1), ("1", 0, 1)]


def test_what_a_bad_image_was_before_is_removed(runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", {**sample("0", 0), **sample("1", 1), "notes.md": b"!"})
    runner(tmp_path / "in", tmp_path / "out")
    assert "0.tacit" in read_files(tmp_path / "out")
    write_files(tmp_path / "in", {"0.png": b"bad"})
    entries, errors = runner(tmp_path / "in", tmp_path / "out")
    assert (entries["files-000000"].failed, errors) == (1, {})
    assert set(read_files(tmp_path / "out")) == {"1.tacit", "1.txt", "1.json", "notes.md"}
    # by the next run, where the driver was lost before it could do it
    job, todo, _ = runner.plan(runner.job(tmp_path / "in", tmp_path / "out"))
    write_files(tmp_path / "in", {"1.png": b"bad, too"})
    job, todo, _ = runner.plan(runner.job(tmp_path / "in", tmp_path / "out"))
    convert(todo.units[0], job, runner.engines(job))
    assert "1.tacit" in read_files(tmp_path / "out")
    assert runner(tmp_path / "in", tmp_path / "out") == ({}, {})
    assert set(read_files(tmp_path / "out")) == {"notes.md"}


def test_another_caption_is_as_another_image(runner: Runner, tmp_path: Path) -> None:
    def mapping(**captions: str) -> CaptionMap:
        (tmp_path / "map.json").write_text(json.dumps({f"{name}.png": text for name, text in captions.items()}))
        return CaptionMap.load(tmp_path / "map.json")

    write_files(tmp_path / "in", {f"{name}.png": photo(n) for n, name in enumerate("abc")})

    def done(captions: CaptionMap | None) -> list[str]:
        return list(runner(tmp_path / "in", tmp_path / "out", captions, shard_size=1, store_caption=True)[0])

    assert done(mapping(a="one", b="two")) == ["files-000000", "files-000001", "files-000002"]
    assert done(mapping(a="one", b="two", x="other")) == []
    assert done(mapping(a="one", b="2")) == ["files-000001"]
    assert tacit.info(tmp_path / "out" / "b.tacit").caption == "2"
    assert done(mapping(a="one", b="2", c="three")) == ["files-000002"]
    assert done(mapping(a="one", c="three")) == ["files-000001"]
    assert tacit.info(tmp_path / "out" / "b.tacit").caption is None


@pytest.mark.usefixtures("without_ray")
def test_a_run_without_its_map_of_captions_is_refused(runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"a.png": photo(0)})
    write_files(tmp_path, {"map.json": b'{"a.png": "one"}'})
    job = runner.job(tmp_path / "in", tmp_path / "out")
    run(job, captions=CaptionMap.load(tmp_path / "map.json"))
    with pytest.raises(InvalidInput, match=r"other settings \(captions of a map, now None\)"):
        run(job)


def test_other_settings_and_foreign_folders_are_refused(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    runner(tmp_path / "in", tmp_path / "out")
    with pytest.raises(InvalidInput, match=r"other settings \(quality None, now 30"):
        runner(tmp_path / "in", tmp_path / "out", quality=30)
    write_files(tmp_path / "mine", {"thesis.tex": b"!"})
    with pytest.raises(InvalidInput, match="not empty, and not of tacit bulk"):
        runner(tmp_path / "in", tmp_path / "mine")
    assert read_files(tmp_path / "mine") == {"thesis.tex": b"!"}
    (tmp_path / "out" / MANIFEST).write_text("{}\n")
    with pytest.raises(InvalidInput, match="no entry of a manifest"):
        runner(tmp_path / "in", tmp_path / "out")


def test_to_another_file_system_and_back(runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", sample("0", 0))
    url = f"memory://{tmp_path.name}"
    try:
        assert not runner(tmp_path / "in", url, to=Kind.TAR, verify=True)[1]
        assert set(Store(url).list()) == {
            "_tacit/failures.jsonl",
            "_tacit/manifest.jsonl",
            "_tacit/run.json",
            "files-000000.tar",
        }
        assert runner(tmp_path / "in", url, to=Kind.TAR) == ({}, {})
        assert not runner(url, tmp_path / "back", decode=True, to=Kind.FOLDER, format="webp")[1]
        assert set(read_files(tmp_path / "back")) == {f"files-000000/0.{s}" for s in ("webp", "txt", "json")}
    finally:
        fsspec.filesystem("memory").store.clear()


def test_a_process_that_is_killed_leaves_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    code = """
import os, signal
from tacit.bulk.store import Store
with Store("memory://a").create("b") as part:
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


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket of an S3 service on this machine, as its URL."""
    server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    s3fs = pytest.importorskip("s3fs")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    service = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    service.start()
    host, port = service.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name, value in {
        "ACCESS_KEY_ID": "tacit",
        "SECRET_ACCESS_KEY": "tacit",
        "DEFAULT_REGION": "us-east-1",
        "EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    boto3.client("s3").create_bucket(Bucket="photos")
    yield "s3://photos"
    s3fs.S3FileSystem.clear_instance_cache()
    service.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of moto and botocore
def test_to_s3_and_back(runner: Runner, tmp_path: Path, bucket: str) -> None:
    pytest.importorskip("webdataset")
    from tacit.data import TacitShards

    fs, _ = fsspec.core.url_to_fs(bucket)
    for n in range(3):
        write_tar(tmp_path / "in" / f"{n}.tar", sample(str(n), n))
        fs.put_file(str(tmp_path / "in" / f"{n}.tar"), f"{bucket}/in/train/{n}.tar")
    fs.pipe_file(f"{bucket}/in/train/0_stats.json", b"{}")
    entries, errors = runner(f"{bucket}/in/train/{{0..1}}.tar", f"{bucket}/some", verify=True)
    assert (sorted(entries), errors) == (["0", "1"], {})
    entries, errors = runner(f"{bucket}/in", f"{bucket}/out", verify=True)
    assert (sorted(entries), errors) == (["copied-000000", "train/0", "train/1", "train/2"], {})
    assert set(Store(f"{bucket}/out").list()) == {
        "_tacit/failures.jsonl",
        "_tacit/manifest.jsonl",
        "_tacit/run.json",
        "train/0.tar",
        "train/1.tar",
        "train/2.tar",
        "train/0_stats.json",
    }
    about = entries["train/1"].files["train/1.tar"]
    data = fs.cat_file(f"{bucket}/out/train/1.tar")
    assert about == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    # there is nothing to do, until a shard changes or is lost
    assert runner(f"{bucket}/in", f"{bucket}/out") == ({}, {})
    write_tar(tmp_path / "in" / "2.tar", sample("5", 5))
    fs.put_file(str(tmp_path / "in" / "2.tar"), f"{bucket}/in/train/2.tar")
    fs.rm_file(f"{bucket}/out/train/0.tar")
    assert sorted(runner(f"{bucket}/in", f"{bucket}/out")[0]) == ["train/0", "train/2"]
    # a training job reads it where it is
    shards = TacitShards(f"{bucket}/out/train/*.tar", shuffle=0)
    assert [(s.name, s.captions) for s in shards] == [
        (f"{n}.tar/{k}", ("waves in json",)) for n, k in ((0, 0), (1, 1), (2, 5))
    ]
    # and back, to files on this machine and to others there
    _, errors = runner(f"{bucket}/out", tmp_path / "back", decode=True, to=Kind.FOLDER)
    assert not errors
    assert "train/2/5.png" in read_files(tmp_path / "back")
    _, errors = runner(tmp_path / "back", f"{bucket}/again", store_caption=True)
    assert not errors
    assert tacit.info(fs.cat_file(f"{bucket}/again/train/0/0.tacit")).caption == "waves"
    # what is not there is told in a line
    with pytest.raises(PathError, match=r"s3://nothing"):
        runner("s3://nothing/in", f"{bucket}/more")


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_ahead_is_bounded_in_order_and_tells_errors() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for n in range(10):
            made.append(n)
            yield n
        raise ValueError("the end")

    taken = []

    def take() -> None:
        with ahead(items()) as found:
            for n in found:
                time.sleep(0.002)
                taken.append(n)
                assert made[-1] <= n + 3  # one taken, one waiting, one held, one in the making

    with pytest.raises(ValueError, match="the end"):
        take()
    assert taken == list(range(10))
    before = threading.active_count()
    with ahead(iter(range(10**9))) as found:
        assert next(found) == 0
    assert threading.active_count() == before


def test_windows_are_bounded_by_images_pixels_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.bulk.clock import Clock

    class Sized:
        suffix = "tacit"

        def prepare(self, record: Record) -> Prepared:
            return Prepared(record, None, None, int(record.key))

        def code(self, batch: Any) -> Any:
            raise NotImplementedError

    monkeypatch.setattr("tacit.bulk.convert.WINDOW", 3)
    monkeypatch.setattr("tacit.bulk.convert.WINDOW_PIXELS", 10)
    sizes = [1, 1, 1, 1, 5, 5, 50, 9, 2]
    records = [Record(str(n), image=b"") for n in sizes]
    found = [[int(r.key) for r, _ in window] for window in _windows(records, Sized(), Clock(), 1)]
    assert found == [[1, 1, 1], [1, 5], [5], [50], [9], [2]]
    monkeypatch.setattr("tacit.bulk.convert.WINDOW_BYTES", 4)
    records = [Record("1", image=b"..", rest={"mp4": b"." * n}) for n in (1, 2, 9, 0)]
    held = [[len(r.rest["mp4"]) for r, _ in window] for window in _windows(records, Sized(), Clock(), 1)]
    assert held == [[1], [2], [9], [0]]


def test_reading_a_shard_keeps_no_list_of_it(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {f"{n}.txt": b"x" for n in range(50)})
    job = Job(str(tmp_path), "out", to=Kind.TAR)
    unit = Unit("0", Kind.TAR, {"0.tar": ""})
    assert [r.key for r in read(unit, Store(str(tmp_path)), job)] == [str(n) for n in range(50)]


# -- sums, settings, the command --------------------------------------------------------------------------------------


def test_sums() -> None:
    total = Total()
    coded = {"bytes_in": 30, "bytes_out": 10, "measured": 1}
    total.add(Entry("a", {}, images=2, failed=1, **coded | {"measured": 3}, psnr=30.0, seconds={"code": 1.0}))
    total.add(Entry("b", {}, images=1, **coded, psnr=40.0, seconds={"code": 2.0, "read": 1}))
    total.add(Entry("c", {}, others=1))
    found = total.summary()
    assert (found.shards, found.images, found.ratio, found.psnr, found.measured) == (3, 3, 3.0, 32.5, 4)
    assert (found.failure_rate, found.spent) == (0.25, {"code": 3.0, "read": 1})
    assert (Total().summary().ratio, Total().summary().psnr, Total().summary().failure_rate) == (None, None, 0.0)


@pytest.mark.parametrize(
    "options",
    [{"quality": 101}, {"shard_size": 0}, {"threads": 0}, {"psnr_every": 0}, {"verify": True, "decode": True}],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Job("a", "b", **options)


@pytest.mark.parametrize(
    "options", [{"workers": (0, 1)}, {"workers": (3, 2)}, {"cpus": 0}, {"gpus": 1.5}, {"gpus": -1}]
)
def test_clusters_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Cluster(**options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in", "out", "--decode", "-q", "3"], "--decode goes with no option"),
        (["in", "out", "--decode", "--verify"], "decoding writes none"),
        (["in", "out", "--format", "png"], "--format goes with --decode"),
        (["in", "out", "--decode", "--format", "gif"], "Images cannot be written as gif"),
        (["in", "out", "--no-caption", "--store-caption"], "--no-caption"),
        (["in", "out", "-j", "4-2"], "not a number of workers"),
        (["in", "out", "--max-failures", "101"], "101"),
        (["in", "out", "-m", "unknown"], "unknown"),
        (["in", "in/below"], "in each other"),
        (["in/../in", "in"], "in each other"),
        (["in/1.png", "in"], "in each other"),
        (["*/*.png", "out"], "in each other"),
        (["shards", "out", "--captions", "map.csv"], "map of captions is for images in files"),
        (["in"], "DEST"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(Path("in"), {"1.png": photo(0)})
    write_tar(Path("shards/0.tar"), sample("0", 0))
    Path("map.csv").write_text("1.png,waves\n")
    done = CliRunner().invoke(cli.command, ["bulk", *arguments])
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())
    assert not Path("out").exists()


@pytest.fixture
def without_ray(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs whose units are done here, one after the other."""

    def units(todo: Any, job: Job, cluster: Cluster) -> Iterator[tuple[str, Entry | str]]:
        for unit in todo:
            yield unit.name, attempt(unit, job, runner.engines(job))

    monkeypatch.setattr("tacit.bulk.driver.run_units", units)
    monkeypatch.setattr("tacit.bulk.driver.connected", lambda cluster: nullcontext())


@pytest.mark.usefixtures("without_ray")
def test_a_run_and_the_runs_after_it(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "in", {f"a/{n}.png": photo(n) for n in range(5)})
    write_files(tmp_path / "in", {"a/0.txt": b"waves", "bad.jpg": b"bad"})
    heard: list[str] = []
    job = runner.job(tmp_path / "in", tmp_path / "out", to=Kind.TAR, shard_size=2)
    outcome = run(job, max_failures=0.2, progress=lambda name, now: heard.append(name))
    assert heard == ["files-000000", "files-000001", "files-000002"]
    assert (outcome.now.images, outcome.now.failed, outcome.now.captions, outcome.left) == (5, 1, 1, 0)
    assert outcome.speed is not None
    # more photos
    write_files(tmp_path / "in", {"b/1.png": photo(9)})
    outcome = run(job, max_failures=0.2)
    assert (outcome.now.shards, outcome.now.images, outcome.all.images) == (1, 1, 6)
    # nothing to do: Ray is not even started
    monkeypatch.setattr("tacit.bulk.driver.connected", None)
    outcome = run(job, max_failures=0.2)
    assert (outcome.now.shards, outcome.all.shards, outcome.all.images, outcome.speed) == (0, 4, 6, None)


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize("named", ["0.tar", "*.tar", "{0..0}.tar"])
def test_a_destination_beside_files_that_were_named(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tar(Path("0.tar"), sample("0", 0))
    for done in (1, 0):
        outcome = run(runner.job(Path(named), Path("small")))
        assert (outcome.now.images, outcome.all.images) == (done, 1)


@pytest.mark.usefixtures("without_ray")
def test_an_interrupted_run_goes_on(runner: Runner, tmp_path: Path) -> None:
    for n in range(3):
        write_tar(tmp_path / "in" / f"{n}.tar", sample(str(n), n))
    job = runner.job(tmp_path / "in", tmp_path / "out")

    def interrupt(name: str, now: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        run(job, progress=interrupt)
    assert (caught.value.outcome.left, caught.value.outcome.now.images) == (2, 1)
    assert len((tmp_path / "out" / MANIFEST).read_text().splitlines()) == 1
    outcome = run(job)
    assert (outcome.now.shards, outcome.all.shards, outcome.left) == (2, 3, 0)


@pytest.mark.usefixtures("without_ray")
def test_too_many_failures_stop_a_run(runner: Runner, tmp_path: Path) -> None:
    bad = {f"{n}.png": b"bad" for n in range(60)}
    write_tar(tmp_path / "in" / "0.tar", bad)
    write_tar(tmp_path / "in" / "1.tar", {"ok.png": photo(0), **bad})
    write_tar(tmp_path / "in" / "2.tar", sample("0", 0))
    job = runner.job(tmp_path / "in", tmp_path / "out")
    with pytest.raises(TooManyFailures, match="120 of 121 images cannot be used") as caught:
        run(job)
    assert caught.value.outcome.left == 1
    assert len((tmp_path / "out" / FAILURES).read_text().splitlines()) == 120
    # the limit is the user's
    outcome = run(job, max_failures=1)
    assert (outcome.all.images, outcome.all.failed, outcome.left) == (2, 120, 0)
    # a few are judged at the end
    write_tar(tmp_path / "few" / "0.tar", {**sample("0", 0), "1.png": b"bad"})
    with pytest.raises(TooManyFailures, match="1 of 2 images"):
        run(runner.job(tmp_path / "few", tmp_path / "few-out"))


@pytest.mark.usefixtures("without_ray")
def test_the_command_says_what_came_of_it(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {**sample("0", 0), **sample("1", 1)})
    write_files(tmp_path / "in", {"1.tar": b"nonsense"})
    command = ["bulk", str(tmp_path / "in"), str(tmp_path / "out"), "-m", str(runner.weights)]
    done = CliRunner().invoke(cli.command, [*command, "--max-failures", "60"], standalone_mode=False)
    assert done.return_value == 1
    assert "tacit: 1: not a whole tar file" in done.stderr
    assert "2 files (tar)" in done.stderr
    assert "1 shard, 2 images (2 with captions)" in done.stdout
    write_tar(tmp_path / "in" / "1.tar", {"3.png": b"bad"})
    done = CliRunner().invoke(cli.command, [*command, "--max-failures", "40", "--json"], standalone_mode=False)
    assert done.return_value == 0
    about = json.loads(done.stdout)
    assert (about["now"]["failed"], about["all"]["images"], about["left"]) == (1, 2, 0)
    done = CliRunner().invoke(cli.command, command, standalone_mode=False)
    assert done.return_value == 1, "a rate above the limit is told by each run"
    assert "tacit: 1 of 3 images cannot be used (33.33%); --max-failures allows 5%" in done.stderr
    assert "stopped" not in done.stderr
    assert "2 shards done already, nothing to do" in done.stderr


@pytest.mark.usefixtures("without_ray")
def test_the_command_says_when_it_stopped(runner: Runner, tmp_path: Path) -> None:
    for name in "012":
        write_tar(tmp_path / "in" / f"{name}.tar", {f"{n}.png": b"bad" for n in range(100)})
    command = ["bulk", str(tmp_path / "in"), str(tmp_path / "out"), "-m", str(runner.weights)]
    done = CliRunner().invoke(cli.command, command, standalone_mode=False)
    assert done.return_value == 1
    assert "tacit: stopped, 2 shards left: 100 of 100 images cannot be used (100.00%)" in done.stderr
    assert "failed     100 images (100.00%), see " in done.stdout


def test_a_worker_that_cannot_begin_says_why(runner: Runner, tmp_path: Path) -> None:
    worker = _Worker(runner.job(tmp_path, tmp_path / "out", text_encoder="nosuch"))
    (report,) = worker({"unit": [pickle.dumps(Unit("0", Kind.TAR, {}))]})["report"]
    name, problem = pickle.loads(report)
    assert name == "0"
    assert isinstance(problem, TacitError)
    assert "nosuch" in str(problem)


def test_corrupt_files_are_what_verifying_raises(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through `convert`, for whoever calls it."""
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    job, todo, _ = runner.plan(runner.job(tmp_path / "in", tmp_path / "out", verify=True))
    monkeypatch.setattr("tacit.bulk.convert.read", lambda *a: iter(()) if a[2].decode else read(*a))
    with pytest.raises(CorruptFile, match="0 images are there, and 1 were written"):
        convert(todo.units[0], job, runner.engines(job))
