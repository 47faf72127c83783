"""Whole runs, whose units are done in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.bulk_runner import Runner, read_files, read_tar, write_files
from support.shards import photo, sample, write_tar
from tacit.bulk import BoxSource, Interrupted, NoImages, StorageKind, TooManyFailures, run
from tacit.bulk.manifest import FAILURES, MANIFEST
from tacit.captions import CaptionMap
from tacit.container import read
from tacit.errors import InvalidInput
from tacit.finding.box_map import BoxMap

pytest.importorskip("fsspec")


@pytest.mark.usefixtures("without_ray")
def test_a_run_and_the_runs_after_it(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "in", {f"a/{n}.png": photo(n) for n in range(5)})
    write_files(tmp_path / "in", {"a/0.txt": b"waves", "bad.jpg": b"bad"})
    heard: list[str] = []
    job = runner.job(tmp_path / "in", tmp_path / "out", output_kind=StorageKind.TAR, shard_size=2)
    outcome = run(job, max_failures=0.2, on_progress=lambda name, now: heard.append(name))
    assert heard == ["files-000000", "files-000001", "files-000002"]
    assert (outcome.now.images, outcome.now.failed, outcome.now.captions, outcome.left) == (5, 1, 1, 0)
    assert outcome.speed is not None
    # more photos
    write_files(tmp_path / "in", {"b/1.png": photo(9)})
    outcome = run(job, max_failures=0.2)
    assert (outcome.now.shards, outcome.now.images, outcome.all.images) == (1, 1, 6)
    # nothing to do: Ray is not even started
    monkeypatch.setattr("tacit.bulk.driver.connect", None)
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
def test_a_run_without_its_map_of_captions_is_refused(runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"a.png": photo(0)})
    write_files(tmp_path, {"map.json": b'{"a.png": "one"}'})
    job = runner.job(tmp_path / "in", tmp_path / "out")
    run(job, captions=CaptionMap.load(tmp_path / "map.json"))
    with pytest.raises(InvalidInput, match=r"other settings \(captions was of a map and is None\)"):
        run(job)


@pytest.mark.usefixtures("without_ray")
def test_an_interrupted_run_goes_on(runner: Runner, tmp_path: Path) -> None:
    for n in range(3):
        write_tar(tmp_path / "in" / f"{n}.tar", sample(str(n), n))
    job = runner.job(tmp_path / "in", tmp_path / "out")

    def interrupt(name: str, now: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        run(job, on_progress=interrupt)
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
def test_shards_without_images_are_warned_of_and_a_run_without_any_fails(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {"0.txt": b"no image", "1.jpeg2": b"none either"})
    job = runner.job(tmp_path / "in", tmp_path / "out")
    for _ in range(2):  # also where an earlier run has done it all
        with pytest.raises(NoImages, match="no image in 1 shards: a shard or table has no image") as caught:
            run(job)
        assert caught.value.outcome.all.shards == 1
    assert read_tar(tmp_path / "out" / "0.tar").keys() == {"0.txt", "1.jpeg2"}
    write_tar(tmp_path / "in" / "1.tar", sample("2", 2))
    outcome = run(job)
    assert (outcome.all.images, outcome.all.warnings) == (1, {"a shard or table has no image": 1})


@pytest.mark.usefixtures("without_ray")
def test_a_shard_whose_images_are_all_bad_is_not_one_without_images(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {"0.png": b"bad"})
    with pytest.raises(TooManyFailures):
        run(runner.job(tmp_path / "in", tmp_path / "out"))
    outcome = run(runner.job(tmp_path / "in", tmp_path / "out"), max_failures=1)
    assert (outcome.all.failed, outcome.all.warnings) == (1, {})


def offsets(data: bytes) -> list[int] | None:
    """The quality map of a file, whose image has 2x1 cells."""
    stored = read(data).header.quality_map
    return None if stored is None else [byte - 256 if byte > 127 else byte for byte in stored]


LEFT: dict[str, Any] = {"file": "a.png", "boxes": [[0, 0, 64, 64]]}
RIGHT: dict[str, Any] = {
    "file": "b.png",
    "boxes": [{"yolo": [0.75, 0.5, 0.5, 1]}, [70, 0, 0, 9], {"xyxy": [500, 0, 600, 9]}],
}


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize("kind", ["folder", "tar", "tar by names"])
def test_images_are_steered_to_their_boxes(runner: Runner, tmp_path: Path, kind: str) -> None:
    members = {f"{name}.png": photo(n, 128, 64) for n, name in enumerate("abc")}
    rows = [LEFT, RIGHT]
    if kind == "folder":
        write_files(tmp_path / "in", members)
    else:
        write_tar(tmp_path / "in" / "0.tar", members)
    if kind == "tar":  # as `tacit caption` names them, and a shard that is not there
        rows = [row | {"file": f"in/{n}.tar/{row['file']}"} for n in range(2) for row in rows]
    list_of_boxes = tmp_path / "boxes.jsonl"
    list_of_boxes.write_text("\n".join(map(json.dumps, rows)))
    job = runner.job(tmp_path / "in", tmp_path / "out", steer=20, verify=True)
    outcome = run(job, boxes=BoxMap.load(list_of_boxes))
    assert (outcome.now.images, outcome.now.unboxed, outcome.now.verified) == (3, 1, 3)
    assert outcome.now.warnings == {"a box of no size, or outside of its image, is left out": 1}
    out = read_files(tmp_path / "out") if kind == "folder" else read_tar(tmp_path / "out" / "0.tar")
    assert [offsets(out[f"{name}.tacit"]) for name in "abc"] == [[10, -10], [-10, 10], None]
    # the same again has nothing to do; other boxes of an image are other work
    assert run(job, boxes=BoxMap.load(list_of_boxes)).now.shards == 0
    rows[0] = rows[0] | {"boxes": []}
    list_of_boxes.write_text("\n".join(map(json.dumps, rows)))
    again = run(job, boxes=BoxMap.load(list_of_boxes))
    assert (again.now.shards, again.now.images, again.now.unboxed) == (1, 3, 2)
    with pytest.raises(
        InvalidInput, match=r"other settings \(boxes was list and is None, finder was None and is embedded"
    ):
        run(job)


@pytest.mark.usefixtures("without_ray")
def test_boxes_in_sidecars(runner: Runner, tmp_path: Path) -> None:
    members = {
        **{f"{name}.png": photo(n, 128, 64) for n, name in enumerate("abc")},
        "a.json": json.dumps({"caption": "a boat", "boxes": [{"box": [0, 0, 64, 64], "label": "boat"}]}).encode(),
        "b.json": b'{"boxes": [["x", 0, 1, 1]]}',
    }
    write_tar(tmp_path / "in" / "0.tar", dict(sorted(members.items())))
    job = runner.job(tmp_path / "in", tmp_path / "out", steer=20, box_source=BoxSource.SIDECARS)
    outcome = run(job)
    assert (outcome.now.images, outcome.now.captions, outcome.now.unboxed) == (3, 1, 2)
    assert outcome.now.warnings == {"a sidecar whose boxes cannot be read is left out": 1}
    assert offsets(read_tar(tmp_path / "out" / "0.tar")["a.tacit"]) == [10, -10]
    with pytest.raises(InvalidInput, match=r"boxes was sidecars and is list"):
        run(job, boxes=BoxMap.load(tmp_path / "in"))  # a folder without any


def test_boxes_that_cannot_be(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="boxes must not be given when decoding"):
        runner.job("in", "out", decode=True, box_source=BoxSource.LIST)
    write_files(tmp_path / "in", {"a.png": photo(0)})
    with pytest.raises(InvalidInput, match="boxes of a list need the list"):
        run(runner.job(tmp_path / "in", tmp_path / "out", box_source=BoxSource.LIST))
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "a.parquet")
    with pytest.raises(InvalidInput, match="boxes in sidecars need images in files or in tar shards"):
        run(runner.job(tmp_path / "in", tmp_path / "out", box_source=BoxSource.SIDECARS))
