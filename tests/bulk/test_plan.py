"""Plans: the units that are to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.bulk_runner import write_files
from tacit.bulk import BulkJob
from tacit.bulk.manifest import ManifestEntry
from tacit.bulk.plan import Plan, make_plan
from tacit.bulk.record import split_file
from tacit.bulk.source import open_source
from tacit.bulk.store import ShardStore
from tacit.bulk.unit import WorkUnit
from tacit.captions import CaptionMap
from tacit.errors import InvalidInput

pytest.importorskip("fsspec")


def entry_of(unit: WorkUnit, written: Mapping[str, int] | None = None) -> ManifestEntry:
    files = {name: {"bytes": size, "sha256": ""} for name, size in (written or {}).items()}
    return ManifestEntry(name=unit.name, inputs=unit.inputs, files=files)


def planned(folder: Path, earlier: Mapping[str, ManifestEntry], size: int = 2, **options: Any) -> Plan:
    job = BulkJob(source=str(folder), destination="out", shard_size=size, **options)
    return make_plan(open_source(str(folder), None, False), job, earlier, {})


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([f"{n}.{s}" for n in "abcdefg" for s in ("jpg", "txt")]), min_size=1), max_size=4)
)
def test_a_folder_that_grows_is_done_once_and_whole(steps: list[list[str]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = write_files(Path(name), {"0.jpg": b""})
        done: dict[str, ManifestEntry] = {}
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
    there = {f"{name}.tar": ShardStore(str(folder)).list()["0.jpg"].__class__(7, "") for name in done}
    source, job = open_source(str(folder), None, False), BulkJob(source=str(folder), destination="out", shard_size=2)
    assert make_plan(source, job, done, there) == Plan((), tuple(sorted(done)), 0)

    # a file of the destination is gone, or is not as long as it was
    for wrong in ({}, {"files-000001.tar": replace(there["files-000001.tar"], size=6)}):
        there_now = {**there, **wrong} if wrong else {k: v for k, v in there.items() if k != "files-000001.tar"}
        todo = make_plan(source, job, done, there_now)
        assert ([u.name for u in todo.units], todo.redone) == (["files-000001"], 1)
    # a caption is new
    write_files(folder, {"4.txt": b"four"})
    todo = make_plan(open_source(str(folder), None, False), job, done, there)
    assert [(u.name, sorted(u.inputs)) for u in todo.units] == [("files-000002", ["4.jpg", "4.txt"])]
    # photos that have been compressed may go
    (folder / "0.jpg").unlink()
    todo = make_plan(open_source(str(folder), None, False), job, done, there)
    assert [u.name for u in todo.units] == ["files-000002"]
    # but not if the rest of their shard has to be done again
    write_files(folder, {"1.txt": b"one"})
    with pytest.raises(InvalidInput, match=r"files-000000: 1 of its files are no longer .* 0\.jpg"):
        make_plan(open_source(str(folder), None, False), job, done, there)


def test_shards_that_would_become_one_are_refused(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"a.tar": b"", "a.tar.gz": b""})
    with pytest.raises(InvalidInput, match=r"a\.tar and a\.tar\.gz would both become a"):
        planned(folder, {})


def test_captions_of_a_map_go_with_their_files(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", {"x/1.jpg": b"", "x/2.jpg": b"", "2.jpg": b""})
    (tmp_path / "map.jsonl").write_text('{"file": "in/x/1.jpg", "caption": "one"}\n{"file": "2.jpg", "caption": "two"}')
    job = BulkJob(source=str(folder), destination="out")
    todo = make_plan(open_source(str(folder), None, False), job, {}, {}, CaptionMap.load(tmp_path / "map.jsonl"))
    assert todo.units[0].captions == {"x/1": "one", "x/2": "two", "2": "two"}
