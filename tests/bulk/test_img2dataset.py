"""Data sets as img2dataset writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tacit
from support.bulk_runner import Runner, read_files, read_tar, write_files
from support.shards import photo, write_tar
from tacit.bulk import StorageKind
from tacit.bulk.summary import RunningTotal

pytest.importorskip("fsspec")


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
    total = RunningTotal(entries.values()).summary()
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
    entries, errors = runner(tmp_path / "in", tmp_path / "shards", output_kind=StorageKind.TAR)
    assert not errors
    keys = {
        Path(n).name.split(".")[0] for p in (tmp_path / "shards").glob("*.tar") for n in read_tar(p) if "00000000" in n
    }
    assert keys == {"000000000", "000000002"}
    entries, errors = runner(tmp_path / "out", tmp_path / "back", decode=True, format="jpeg")
    assert not errors
    assert RunningTotal(entries.values()).summary().images == 2
    if form == "parquet":
        assert parquet.read_table(tmp_path / "back" / "00000.parquet")["jpeg"][1].as_py() is None
