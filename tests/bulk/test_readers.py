"""Readers: shards that are cut off, hostile names, tables and their columns."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tacit
from support.bulk_runner import Runner, read_files, read_tar, write_files
from support.shards import photo, sample, write_tar
from tacit.bulk import BulkJob, StorageKind
from tacit.bulk.readers import find_columns, read_records, row_record
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


def test_images_of_rarer_kinds_and_behind_links_in_a_folder(runner: Runner, tmp_path: Path) -> None:
    files = {"a.mpo": photo(0, format="JPEG"), "b.png": photo(1), "b.ico": b"no image", "c.mpg": b"a film"}
    write_files(tmp_path / "in", files)
    write_files(tmp_path / "other", {"d.qoi": photo(2, format="QOI"), "d.txt": b"waves"})
    (tmp_path / "in" / "link").symlink_to("../other")
    (tmp_path / "in" / "gone.jpg").symlink_to("nowhere.jpg")
    entries, errors = runner(tmp_path / "in", tmp_path / "out")
    assert not errors
    (entry,) = entries.values()
    assert (entry.images, entry.captions) == (3, 1)
    assert [failure["key"] for failure in entry.failures] == ["gone"]
    names = {"a.tacit", "b.tacit", "b.ico", "c.mpg", "link/d.tacit", "link/d.txt"}
    assert set(read_files(tmp_path / "out")) == names


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


TABLES: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "category": (lambda pa: pa.dictionary(pa.int8(), pa.string()), ["one", "two", None]),
    "view": (lambda pa: pa.string_view(), ["one", "two", None]),
    "large list": (lambda pa: pa.large_list(pa.string()), [[None, "one"], ["two"], []]),
    "fixed list": (lambda pa: pa.list_(pa.string(), 2), [[None, "one"], ["two", "zwei"], None]),
    "object": (
        lambda pa: pa.struct([("text", pa.string()), ("n", pa.int32())]),
        [{"text": "one", "n": 1}, {"text": "two", "n": 2}, None],
    ),
    "list of objects": (
        lambda pa: pa.list_(pa.struct([("id", pa.int32()), ("caption", pa.string())])),
        [[{"id": 1, "caption": "one"}], [{"id": 2, "caption": None}, {"id": 3, "caption": "two"}], []],
    ),
    "languages": (
        lambda pa: pa.struct([("de", pa.string()), ("en", pa.string())]),
        [{"de": "eins", "en": "one"}, {"de": "two", "en": None}, {"de": None, "en": None}],
    ),
    "map": (
        lambda pa: pa.map_(pa.string(), pa.string()),
        [[("de", "eins"), ("en", "one")], [("fr", "two")], []],
    ),
}


COLUMNS: list[tuple[str, Any, tuple[str, ...] | None]] = [
    ("sentences", [{"raw": "a boat", "tokens": ["a", "boat"]}], ("sentences",)),
    ("annotations", [{"id": 1, "caption": "a boat"}], ("annotations",)),
    ("json", {"meta": {"caption": "a boat", "title": "b"}}, ("json", "meta", "caption")),
    ("txt", b"a boat", ("txt",)),
    ("words", [{"box": 1, "text": "STOP"}], None),  # what is written in an image is no caption
    ("json", {"page": {"title": "b"}}, None),
    ("audio", {"bytes": b"x", "path": "x"}, None),
]


@pytest.mark.parametrize(("name", "value", "path"), COLUMNS)
def test_columns_in_which_captions_are_found(name: str, value: Any, path: tuple[str, ...] | None) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"image": [b""], name: [value]})
    columns = find_columns(table.schema, BulkJob(source="in", destination="out"))
    assert columns.caption == path
    (batch,) = table.to_batches()
    record = row_record(batch, columns, 0, as_files=False)
    assert record.caption == (None if path is None else "a boat")


@pytest.mark.parametrize("name", TABLES)
def test_captions_of_every_type_in_a_table(runner: Runner, tmp_path: Path, name: str) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    kind, captions = TABLES[name]
    columns = {"image": [photo(n) for n in range(3)], "caption": pyarrow.array(captions, type=kind(pyarrow))}
    (tmp_path / "in").mkdir()
    parquet.write_table(pyarrow.table(columns), tmp_path / "in" / "t.parquet")
    entries, errors = runner(tmp_path / "in", tmp_path / "out", store_caption=True)
    assert not errors
    assert (entries["t"].images, entries["t"].captions) == (3, 2)
    made = parquet.read_table(tmp_path / "out" / "t.parquet")
    assert [tacit.info(data).caption for data in made["image"].to_pylist()] == ["one", "two", None]
    assert made["caption"].to_pylist() == pyarrow.table(columns)["caption"].to_pylist()


@pytest.mark.parametrize("path", ["json.caption", None])
def test_captions_in_a_field_of_another_column(runner: Runner, tmp_path: Path, path: str | None) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    about = [{"url": "x", "caption": "one"}, None]  # as Hugging Face makes a table of WebDataset's shards
    (tmp_path / "in").mkdir()
    parquet.write_table(pyarrow.table({"jpg": [photo(0), photo(1)], "json": about}), tmp_path / "in" / "t.parquet")
    entries, errors = runner(tmp_path / "in", tmp_path / "out", caption_column=path, store_caption=True)
    assert not errors
    assert (entries["t"].images, entries["t"].captions) == (2, 1)
    for wrong in ("json.text", "json.url.x", "about.caption"):
        _, errors = runner(tmp_path / "in", tmp_path / wrong, caption_column=wrong)
        assert errors["t"].endswith(f"no column '{wrong}'; there are jpg, json")


def test_a_caption_column_that_is_no_text_is_counted(runner: Runner, tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in").mkdir()
    about = [{"score": 1.0, "tag": "x"}]
    parquet.write_table(pyarrow.table({"image": [photo(0)], "caption": about}), tmp_path / "in" / "t.parquet")
    entries, errors = runner(tmp_path / "in", tmp_path / "out")
    assert not errors
    assert entries["t"].warnings == {"a caption that is no text is left out": 1}


@pytest.mark.parametrize("name", ["dictionary", "view", "struct"])
def test_images_of_every_type_in_a_table(runner: Runner, tmp_path: Path, name: str) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    kinds = {"dictionary": pyarrow.dictionary(pyarrow.int8(), pyarrow.binary()), "view": pyarrow.binary_view()}
    kinds["struct"] = pyarrow.struct([("bytes", kinds["dictionary"]), ("path", pyarrow.string())])
    images: list[Any] = [photo(0), photo(1), photo(0), None]
    if name == "struct":
        images = [image and {"bytes": image, "path": "a.png"} for image in images]
    (tmp_path / "in").mkdir()
    parquet.write_table(
        pyarrow.table({"image": pyarrow.array(images, type=kinds[name])}), tmp_path / "in" / "t.parquet"
    )
    entries, errors = runner(tmp_path / "in", tmp_path / "out", verify=True)
    assert not errors
    assert (entries["t"].images, entries["t"].verified) == (3, 3)
    made = parquet.read_table(tmp_path / "out" / "t.parquet")["image"].to_pylist()
    assert made[3] is None
    assert made[0] == made[2] != made[1]
