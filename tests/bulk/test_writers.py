"""Writers: names, columns, and what has no place."""

from __future__ import annotations

from pathlib import Path

import pytest

import tacit
from support.bulk_runner import Runner, read_files, read_tar, write_files
from support.shards import photo, sample, write_tar
from tacit.bulk import StorageKind

pytest.importorskip("fsspec")


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
    _, errors = runner(tmp_path / "in", tmp_path / "out", output_kind=StorageKind.TAR)
    assert not errors
    out = read_tar(tmp_path / "out" / "files-000000.tar")
    assert set(out) == {"a/1_0.tacit", "a/1_0.txt", "a/1_0-2.tacit", "b.d/2.tacit"}


def test_large_files_are_copied_without_being_held(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.bulk.plan.LARGE", 1000)
    write_files(tmp_path / "in", {"1.png": photo(0), "1.bin": b"x" * 2000})
    entries, errors = runner(tmp_path / "in", tmp_path / "out", output_kind=StorageKind.TAR)
    assert not errors
    assert sorted(entries) == ["copied-000000", "files-000000"]
    assert read_files(tmp_path / "out")["1.bin"] == b"x" * 2000
    assert runner(tmp_path / "in", tmp_path / "out", output_kind=StorageKind.TAR) == ({}, {})


@pytest.mark.slow
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


def test_samples_without_an_image_go_through_tables(runner: Runner, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    members = {**sample("0", 0), "1.txt": b"no image", "LICENSE": b"!"}
    write_tar(tmp_path / "in" / "0.tar", members)
    assert not runner(tmp_path / "in", tmp_path / "tables", output_kind=StorageKind.PARQUET)[1]
    entries, errors = runner(tmp_path / "tables", tmp_path / "back", decode=True, output_kind=StorageKind.TAR)
    assert (entries["0"].images, entries["0"].others, entries["0"].failed, errors) == (1, 2, 0, {})
    assert {**read_tar(tmp_path / "back" / "0.tar"), "0.png": b""} == {**members, "0.png": b""}


def test_names_that_a_table_cannot_hold_are_failures(runner: Runner, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_tar(tmp_path / "in" / "0.tar", {"caf\udce9.png": photo(0), "1.png": photo(1)})
    entries, errors = runner(tmp_path / "in", tmp_path / "out", output_kind=StorageKind.PARQUET)
    assert (entries["0"].images, entries["0"].failed, errors) == (1, 1, {})
    assert "cannot be a row of a table" in entries["0"].failures[0]["reason"]
    # but other shards and folders can
    entries, errors = runner(tmp_path / "in", tmp_path / "shards")
    assert (entries["0"].images, entries["0"].failed, errors) == (2, 0, {})
    assert "caf\udce9.tacit" in read_tar(tmp_path / "shards" / "0.tar")
