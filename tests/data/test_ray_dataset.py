"""`.tacit` files as a data set of Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tacit.data
from tacit.codec import Codec
from tacit.errors import InvalidInput, MissingExtra

pytest.importorskip("webdataset")


def table(folder: Path, encoded: dict[str, bytes]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = {
        "key": ["a", "b", "c"],
        "image": [encoded["low"], encoded["grey"], encoded["wide"]],
        "caption": ["a house", None, "a tree"],
        "id": [1, 2, 3],
    }
    parquet.write_table(pyarrow.table(rows), folder / "part.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_reading_on_ray(tmp_path: Path, tacit_shards: str, encoded: dict[str, bytes], ray_address: str) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    from tacit.bulk.cluster import Cluster, connect

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.tacit").write_bytes(encoded["low"])
    (folder / "a.txt").write_text("beside it")
    (folder / "b.tacit").write_bytes(b"no file")
    table(folder, encoded)  # beside files, it is about them
    (tmp_path / "table").mkdir()
    codec = Codec(threads=1)
    with connect(Cluster(ray_address)):
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = tacit.data.read_tacit(tacit_shards, fields=["json"]).take_all()
        assert sorted(row["key"] for row in rows) == [f"{i // 3}.tar/{i:02}" for i in range(12)]
        (row,) = [row for row in rows if row["key"] == "0.tar/01"]
        assert row["caption"] in ("number 1", "or so")
        assert row["json"].startswith(b"{")
        assert np.array_equal(row["image"], np.asarray(codec.decode(encoded["high"])))
        assert (row["width"], row["height"]) == (150, 130)
        files = tacit.data.read_tacit(str(folder), crop=64, on_error="skip").take_all()
        assert [(row["image"].shape, row["caption"]) for row in files] == [((64, 64, 3), "beside it")]
        found = tacit.data.read_tacit(str(table(tmp_path / "table", encoded)), fields=["id"]).take_all()
        assert [(row["key"], row["caption"], row["id"]) for row in found] == [
            ("a", "a house", 1), ("b", None, 2), ("c", "a tree", 3)
        ]  # fmt: skip
        assert np.array_equal(found[1]["image"][..., 0], np.asarray(codec.decode(encoded["grey"])))
        # shards with tables and other files below the same folder, as tacit bulk leaves what img2dataset wrote
        again = tacit.data.read_tacit(str(tmp_path)).take_all()
        assert sorted(row["key"] for row in again) == sorted(row["key"] for row in rows)
        (tmp_path / "empty").mkdir()
        with pytest.raises(InvalidInput, match=r"empty: no files that end in \.tar, \.tacit, \.parquet"):
            tacit.data.read_tacit(str(tmp_path / "empty"))


def test_reading_on_ray_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    import_module = importlib.import_module

    def missing(name: str, *rest: Any) -> Any:
        if name == "ray.data":
            raise ImportError(name)
        return import_module(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'tacit\[bulk\]'"):
        tacit.data.read_tacit("a.tar")
