"""The conversion of one unit, between all kinds of storage."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

import tacit
from support.bulk_runner import Runner, read_files, read_tar, write_files
from support.image_files import saved
from support.pictures import synthetic
from support.shards import photo, sample, write_tar
from tacit.bulk import StorageKind
from tacit.bulk.conversion import MAX_TRIES, attempt, convert
from tacit.bulk.engine import EncodingEngine
from tacit.bulk.manifest import FAILURES, MANIFEST, TRIES, entry_name
from tacit.bulk.readers import read_records
from tacit.bulk.store import ShardStore
from tacit.codec import Codec
from tacit.errors import CorruptFile
from tacit.image.psnr import psnr

fsspec = pytest.importorskip("fsspec")


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
    entries, errors = runner(source, tmp_path / "small", output_kind=StorageKind(to), quality=90, verify=True)
    assert not errors
    assert [(e.images, e.captions, e.verified) for e in entries.values()] == [(3, 3, 3)]
    # back to the first kind
    _, errors = runner(tmp_path / "small", tmp_path / "back", decode=True, output_kind=StorageKind(kind))
    assert not errors
    back: dict[str, bytes] = {}
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
    assert "5.tacit: there already, beside the image" in listed[4]["reason"]
    out = read_tar(tmp_path / "out" / "0.tar")
    assert set(out) == {"0.tacit", "0.txt", "0.json", "6.tacit", "6.txt"}
    assert out["6.txt"] == members["6.txt"]
    assert tacit.info(out["6.tacit"]).caption == "bell and \N{REPLACEMENT CHARACTER}"


def test_warnings_are_counted(runner: Runner, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(stream, "PNG")
    write_files(tmp_path / "in", {"1.png": stream.getvalue(), "2.png": stream.getvalue()})
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ColorSpace: 2}
    adobe = saved(Image.new("RGB", (20, 20), (60, 200, 60)), exif=exif)
    texts = PngInfo()
    texts.add_text("workflow", "{}")
    odd = {"3.png": adobe, "4.png": adobe, "5.png": saved(Image.new("L", (20, 20)), pnginfo=texts)}
    odd |= {"6.png": saved(Image.new("L", (20, 20))), "6.json": b'{"caption": {"score": 1}}'}
    write_files(tmp_path / "in", odd)
    entries, _ = runner(tmp_path / "in", tmp_path / "out")
    assert entries["files-000000"].warnings == {
        "image: 16-bit samples are reduced to 8 bits": 2,
        "image: the colours are converted to sRGB by EXIF (Adobe RGB)": 2,
        "image: the text 'workflow' cannot be kept": 1,
        "a caption that is no text is left out": 1,
    }
    assert entries["files-000000"].images == 6


def test_one_image_of_so_many_is_measured(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([30.0, float("inf"), 40.0])  # as an image has that decodes without any loss
    monkeypatch.setattr(EncodingEngine, "measure", lambda self, photo, data: next(found))
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
    assert entry.measured == 1
    assert entry.psnr is not None
    assert entry.psnr == pytest.approx(expected, abs=0.05)  # with other threads, other levels
    assert 20 < entry.psnr < 60


def test_verifying_finds_what_storage_has_changed(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    move = ShardStore._move

    def rot(self: ShardStore, path: Path, name: str) -> None:
        if name.endswith(".tar"):
            data = bytearray(path.read_bytes())
            data[512 + 20] ^= 1  # inside the first member, the image
            path.write_bytes(data)
        move(self, path, name)

    monkeypatch.setattr(ShardStore, "_move", rot)
    _, errors = runner(tmp_path / "in", tmp_path / "out", verify=True)
    assert errors == {"0": "0.tacit: not as it was written"}
    assert not (tmp_path / "out" / entry_name("0")).exists()
    _, errors = runner(tmp_path / "in", tmp_path / "unseen")
    assert not errors, "without --verify nobody looks"


def test_verifying_finds_latents_that_differ(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    latents = Codec.latents
    monkeypatch.setattr(Codec, "latents", lambda self, data: latents(self, data) + 1)
    _, errors = runner(tmp_path / "in", tmp_path / "out", verify=True)
    assert errors == {"0": "0.tacit: decodes to other latents than were coded"}


def test_corrupt_files_are_what_verifying_raises(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through `convert`, for whoever calls it."""
    write_tar(tmp_path / "in" / "0.tar", sample("0", 0))
    job, todo, _ = runner.plan(runner.job(tmp_path / "in", tmp_path / "out", verify=True))
    monkeypatch.setattr("tacit.bulk.conversion.read_records", lambda *a: iter(()) if a[2].decode else read_records(*a))
    with pytest.raises(CorruptFile, match="1 images were written, and 0 are there"):
        convert(todo.units[0], job, runner.engines(job))


def test_a_batch_and_its_latents_belong_together(codec: Codec) -> None:
    pictures = [synthetic(w, h, n) for n, (w, h) in enumerate([(48, 40), (48, 40), (20, 90), (1100, 30)])]
    for (data, latents), plain in zip(codec.encode_batch_latents(pictures), codec.encode_batch(pictures), strict=True):
        assert data == plain
        assert (codec.latents(data) == latents).all()


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
    store = ShardStore(job.destination)
    store.put(f"{TRIES}/0", f"{MAX_TRIES} 1 host".encode())
    assert attempt(todo.units[0], job, runner.engines(job)) == f"{MAX_TRIES} workers were lost while they worked on it"
    # tries of runs that were killed do not count
    assert list(runner(tmp_path / "in", tmp_path / "out")[0]) == ["0"]
    assert store.read(f"{TRIES}/0") is None


def test_to_another_file_system_and_back(runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", sample("0", 0))
    url = f"memory://{tmp_path.name}"
    try:
        assert not runner(tmp_path / "in", url, output_kind=StorageKind.TAR, verify=True)[1]
        assert set(ShardStore(url).list()) == {
            "_tacit/failures.jsonl",
            "_tacit/manifest.jsonl",
            "_tacit/run.json",
            "files-000000.tar",
        }
        assert runner(tmp_path / "in", url, output_kind=StorageKind.TAR) == ({}, {})
        assert not runner(url, tmp_path / "back", decode=True, output_kind=StorageKind.FOLDER, format="webp")[1]
        assert set(read_files(tmp_path / "back")) == {f"files-000000/0.{s}" for s in ("webp", "txt", "json")}
    finally:
        fsspec.filesystem("memory").store.clear()
