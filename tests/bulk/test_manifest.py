"""The manifest: what later runs find, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tacit
from support.bulk_runner import Runner, read_files, write_files
from support.shards import photo, sample, write_tar
from tacit.bulk.conversion import convert
from tacit.bulk.job import StorageKind
from tacit.bulk.manifest import FAILURES, MANIFEST, SETTINGS, ManifestEntry
from tacit.captions import CaptionMap
from tacit.errors import InvalidInput

pytest.importorskip("fsspec")


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


def test_other_settings_and_foreign_folders_are_refused(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    runner(tmp_path / "in", tmp_path / "out")
    with pytest.raises(InvalidInput, match=r"other settings \(quality was None and is 30"):
        runner(tmp_path / "in", tmp_path / "out", quality=30)
    write_files(tmp_path / "mine", {"thesis.tex": b"!"})
    with pytest.raises(InvalidInput, match="must be empty or written by tacit bulk"):
        runner(tmp_path / "in", tmp_path / "mine")
    assert read_files(tmp_path / "mine") == {"thesis.tex": b"!"}
    (tmp_path / "out" / MANIFEST).write_text("{}\n")
    with pytest.raises(InvalidInput, match="not an entry of a manifest"):
        runner(tmp_path / "in", tmp_path / "out")


ENTRY = (
    '{"name": "train/0", "images": 2, "failed": 1, "captions": 2, "others": 0, "pixels": 3840, "bytes_in": 900, '
    '"bytes_out": 90, "bytes_rest": 30, "verified": 0, "lost": 0, "measured": 1, "inputs": {"train/0.tar": "0f"}, '
    '"files": {"train/0.tar": {"bytes": 120, "sha256": "ab"}}, "psnr": 30.5, "seconds": {"wall": 1.5}, "memory": 7, '
    '"warnings": {}, "failures": [{"key": "2.png", "reason": "bad"}]}'
)


def test_entries_of_earlier_versions_are_read_and_written_alike() -> None:
    entry = ManifestEntry.from_json(ENTRY, "manifest.jsonl")
    assert json.dumps(entry.to_json()) == ENTRY


def test_settings_keep_their_names_on_disk(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    runner(tmp_path / "in", tmp_path / "out", quality=30, output_kind=StorageKind.FOLDER)
    settings = json.loads((tmp_path / "out" / SETTINGS).read_text())
    assert len(settings.pop("weights")) == 16
    assert settings.pop("finder")["finder"] == "embedded"
    assert settings == {
        "decode": False,
        "kind": "tar",
        "to": "folder",
        "quality": 30,
        "use_captions": True,
        "store_caption": False,
        "keep_metadata": True,
        "text_encoder": None,
    }
    runner(tmp_path / "out", tmp_path / "back", decode=True, source_kind=StorageKind.FOLDER, format="webp")
    settings = json.loads((tmp_path / "back" / SETTINGS).read_text())
    assert settings == {"decode": True, "kind": "folder", "to": "folder", "format": "webp"}
