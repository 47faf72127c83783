"""Readers: shards that are cut off, hostile names, tables and their columns."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

import tacit
from support.bulk_runner import Runner, read_files, read_tar, write_files
from support.shards import photo, sample, write_tar
from tacit.bulk import BulkJob, StorageKind
from tacit.bulk.readers import read_records
from tacit.bulk.store import PARTS, ShardStore
from tacit.bulk.unit import WorkUnit
from tacit.errors import InvalidInput

pytest.importorskip("fsspec")


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
    entries, errors = runner(tmp_path / "in", tmp_path / "a" / "b" / "out", output_kind=StorageKind.FOLDER)
    assert not errors
    assert set(read_files(tmp_path / "a" / "b" / "out")) == {"0/ok.tacit"}
    assert [f["key"] for f in entries["0"].failures] == ["../../out.png", "/etc/x.png", "link.png"]
    assert not list(tmp_path.glob("a/*.tacit"))
    assert not list(tmp_path.glob("*.tacit"))


@pytest.mark.parametrize("folder", ["", "./", "a/"])
def test_a_tar_of_macos_gives_its_images_and_captions(runner: Runner, tmp_path: Path, folder: str) -> None:
    double = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(100)
    members: dict[str, bytes] = {}
    for number in range(3):
        for suffix, data in (("png", photo(number)), ("txt", b"a wave")):
            members[f"{folder}._{number}.{suffix}"] = double
            members[f"{folder}{number}.{suffix}"] = data
    members[f"{folder}._real.png"] = photo(9)  # whatever its name, this one is an image
    write_tar(tmp_path / "in" / "0.tar", members)
    entries, errors = runner(tmp_path / "in", tmp_path / "out")
    assert not errors
    entry = entries["0"]
    assert (entry.images, entry.captions, entry.failed, entry.others) == (4, 3, 0, 0)
    assert entry.warnings == {"a file of macOS's attributes (._NAME) is left out": 6}
    with tarfile.open(tmp_path / "out" / "0.tar") as tar:
        assert tar.getnames()[:2] == [f"{folder}0.tacit", f"{folder}0.txt"]


def test_names_with_dots_in_a_shard_are_images_of_their_own(runner: Runner, tmp_path: Path) -> None:
    members = {
        "0.05.png": photo(0),
        "0.05.txt": b"five",
        "0.10.png": photo(1),
        "0.txt": b"both",
        "a/x.v2.b.PNG": photo(2),
    }
    members |= {"plain.png": photo(3), "plain.mask.png": photo(4)}
    write_tar(tmp_path / "in" / "0.tar", members)
    entries, errors = runner(tmp_path / "in", tmp_path / "out", store_caption=True, verify=True)
    assert not errors
    entry = entries["0"]
    assert (entry.images, entry.verified, entry.captions, entry.failed, entry.others) == (4, 4, 2, 0, 1)
    assert not entry.warnings
    out = read_tar(tmp_path / "out" / "0.tar")
    assert list(out) == [
        "0.05.tacit", "0.05.txt", "0.10.tacit", "0.txt", "a/x.v2.b.tacit", "plain.tacit", "plain.mask.png",
    ]  # fmt: skip
    assert tacit.info(out["0.05.tacit"]).caption == "five"
    assert tacit.info(out["0.10.tacit"]).caption == "both"
    entries, _ = runner(tmp_path / "out", tmp_path / "back", decode=True)
    assert entries["0"].images == 4
    assert set(read_tar(tmp_path / "back" / "0.tar")) == {*members} - {"a/x.v2.b.PNG"} | {"a/x.v2.b.png"}


def test_reading_a_shard_keeps_no_list_of_it(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {f"{n}.txt": b"x" for n in range(50)})
    job = BulkJob(source=str(tmp_path), destination="out", output_kind=StorageKind.TAR)
    unit = WorkUnit("0", StorageKind.TAR, {"0.tar": ""})
    assert [r.key for r in read_records(unit, ShardStore(str(tmp_path)), job)] == [str(n) for n in range(50)]


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
