"""Data sets of files and of shards, and their workers."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from support.shards import write_tar
from tacit.data.batches import Collate, LatentBatch
from tacit.data.datasets import Coded, TacitFiles, TacitShards
from tacit.data.local_codec import local_codec
from tacit.errors import InvalidInput, PathError

pytest.importorskip("webdataset")


def looks(batch: LatentBatch) -> list[tuple[Any, ...]]:
    """What a batch is, in a form that can be compared."""
    hashes = [hash(p.values.numpy().tobytes()) for p in batch.latents()]
    return list(zip(batch.names, batch.captions, batch.boxes, hashes, strict=True))


def run(loader: DataLoader[Coded]) -> list[tuple[Any, ...]]:
    return [one for batch in loader for one in looks(batch)]


def test_files(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.tacit").write_bytes(encoded["low"])
    (tmp_path / "a.txt").write_text("beside it\n")
    (tmp_path / "below" / "b.tacit").write_bytes(encoded["high"])
    (tmp_path / "c.jpg").write_bytes(b"")
    files = TacitFiles(tmp_path, seed=4)
    batch = Collate(40)([files[i] for i in range(len(files))])
    assert [Path(name).name for name in batch.names] == ["a.tacit", "b.tacit"]
    assert batch.captions == ("beside it", "stored with it")
    again = Collate(40)([files[i] for i in range(len(files))])
    assert batch.boxes == again.boxes
    files.set_epoch(1)
    assert files.epoch == 1
    assert batch.boxes != Collate(40)([files[i] for i in range(len(files))]).boxes
    assert batch.boxes != Collate(40)([TacitFiles(tmp_path, seed=5)[i] for i in range(2)]).boxes
    (tmp_path / "a.tacit").unlink()
    with pytest.raises(PathError, match=r"a\.tacit"):
        Collate(40)([files[0]])
    with pytest.raises(PathError):
        TacitFiles(tmp_path / "none")
    with pytest.raises(InvalidInput, match=r"no \.tacit files"):
        TacitFiles()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize(("workers", "context"), [(1, "spawn"), (2, "fork")])
def test_workers_change_nothing_but_the_order(tacit_shards: str, workers: int, context: str) -> None:
    data = TacitShards(tacit_shards, seed=1)
    here = run(DataLoader(data, 4, collate_fn=Collate(48)))
    assert len(here) == len({name for name, *_ in here}) == 12
    local_codec()  # what a fork takes along is not used
    loader = DataLoader(
        data,
        4,
        num_workers=workers,
        collate_fn=Collate(48),
        multiprocessing_context=context,
        persistent_workers=True,
    )
    there = run(loader)
    assert sorted(there) == sorted(here)
    if workers == 2:
        assert there == run(loader), "the same seed, the same order"
        data.set_epoch(1)  # the workers are alive already
        other = run(loader)
        assert [name for name, *_ in other] != [name for name, *_ in there]
        assert sorted(name for name, *_ in other) == sorted(name for name, *_ in there)
        assert {(name, box) for name, _, box, _ in other} != {(name, box) for name, _, box, _ in there}


class _Threads:
    def __call__(self, samples: Sequence[Coded]) -> tuple[int, int]:
        return torch.get_num_threads(), id(local_codec())


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_workers_have_one_thread_and_one_codec(tacit_shards: str) -> None:
    data = TacitShards(tacit_shards)
    found = list(DataLoader(data, 2, num_workers=2, collate_fn=_Threads(), multiprocessing_context="fork"))
    assert {threads for threads, _ in found} == {1}
    assert len({codec for _, codec in found}) <= 2


def test_shards_as_they_stand_and_shared_out(tacit_shards: str) -> None:
    assert [one.name for one in TacitShards(tacit_shards, shuffle=0)] == [f"{i // 3}.tar/{i:02}" for i in range(12)]
    parts = [[one.name for one in TacitShards(tacit_shards, rank=r, processes=3)] for r in range(3)]
    assert sorted(name for part in parts for name in part) == sorted(one.name for one in TacitShards(tacit_shards))
    assert all(parts)
    shuffled = [one.name for one in TacitShards(tacit_shards, seed=2)]
    assert shuffled != sorted(shuffled)
    assert shuffled != [one.name for one in TacitShards(tacit_shards, seed=3)]
    sample = next(iter(TacitShards(tacit_shards, shuffle=0)))
    assert sample.captions == ("number 0",)
    assert sample.fields == {"txt": b"number 0"}
    with pytest.raises(InvalidInput, match="each of 5 processes, got 4"):
        TacitShards(tacit_shards, processes=5)


def test_names_with_dots_are_samples_of_their_own(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    members = {"0.05.tacit": encoded["low"], "0.05.json": b'{"caption": "five"}', "0.10.tacit": encoded["high"]}
    members |= {"0.txt": b"both", "1.tacit": encoded["low"], "1.x.tacit": encoded["high"], "2.txt": b"no image"}
    url = str(write_tar(tmp_path / "0.tar", members))
    samples = list(TacitShards(url, shuffle=0))
    assert [(one.name, one.captions) for one in samples] == [
        ("0.tar/0.05", ("five",)), ("0.tar/0.10", ("both",)), ("0.tar/1", ()), ("0.tar/2", ("no image",)),
    ]  # fmt: skip
    assert [one.data for one in samples[:3]] == [encoded["low"], encoded["high"], encoded["low"]]
    assert isinstance(samples[3].data, InvalidInput)


def test_bad_shards(tmp_path: Path, encoded: dict[str, bytes], tacit_shards: str) -> None:
    with tarfile.open(tmp_path / "1.tar") as tar:
        cut = tar.getmembers()[2].offset_data + 40  # in the second sample's file
    (tmp_path / "1.tar").write_bytes((tmp_path / "1.tar").read_bytes()[:cut])
    (tmp_path / "2.tar").unlink()
    write_tar(tmp_path / "3.tar", {"x.jpg": b"not ours", "y.tacit": encoded["low"]})
    loader = DataLoader(TacitShards(tacit_shards, shuffle=0), 100, collate_fn=Collate(on_error="skip"))
    (batch,) = loader
    assert batch.names[:3] == ("0.tar/00", "0.tar/01", "0.tar/02")
    assert batch.names[-1] == "3.tar/y"
    assert len(batch) == 5
    said = "\n".join(batch.skipped)
    assert f"{tmp_path}/1.tar: " in said
    assert f"{tmp_path}/2.tar: No such file or directory" in said
    assert "3.tar/x: no .tacit file" in said
    assert len(batch.skipped) == 3
    with pytest.raises(PathError, match=r"1\.tar: "):
        list(DataLoader(TacitShards(tacit_shards, shuffle=0), 2, collate_fn=Collate()))
    with pytest.raises(PathError, match="the pattern finds no shards"):
        TacitShards(f"{tmp_path}/none-*.tar")
