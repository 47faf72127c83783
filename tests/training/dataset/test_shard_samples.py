"""Samples from WebDataset shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.training import grey_level
from tacit.data.shards import expand_pattern
from tacit.errors import InvalidInput, PathError
from tacit.training.dataset.samples import Recipe
from tacit.training.dataset.shard_samples import ShardSamples


def test_shards(image_shards: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"{image_shards}/s{{0..3}}.tar"
    stream = iter(ShardSamples([url], Recipe(crop=64), buffer=5))
    rows = [next(stream) for _ in range(36)]
    values = [grey_level(r) for r in rows]
    assert [r.caption for r in rows] == [f"grey {v}" for v in values]
    for epoch in range(3):
        assert sorted(values[12 * epoch : 12 * epoch + 12]) == list(range(12))
    assert len({tuple(values[12 * e : 12 * e + 12]) for e in range(3)}) == 3
    assert 6 <= sum(r.bad for r in rows) <= 9  # three an epoch; those at the end of the last are not reached
    assert "is left out" in caplog.text
    again = iter(ShardSamples([url], Recipe(crop=64), buffer=5))
    assert [next(again).seed for _ in range(12)] == [r.seed for r in rows[:12]]
    other = iter(ShardSamples([url], Recipe(crop=64), buffer=5, start=7))
    assert [next(other).seed for _ in range(12)] != [r.seed for r in rows[:12]]


def test_shards_are_dealt_out(image_shards: Path) -> None:
    url = f"{image_shards}/*.tar"
    parts = []
    for rank in range(2):
        stream = iter(ShardSamples([url], Recipe(crop=64), rank=rank, processes=2))
        parts.append({grey_level(next(stream)) for _ in range(6)})
    assert parts[0] | parts[1] == set(range(12))
    assert not parts[0] & parts[1]
    with pytest.raises(InvalidInput, match=r"each of 5 readers .*, got 4"):
        next(iter(ShardSamples([url], Recipe(crop=64), processes=5)))
    with pytest.raises(PathError):
        expand_pattern(f"{image_shards}/none*.tar")


def test_shards_behind_a_url_and_damaged_ones(image_shards: Path, caplog: pytest.LogCaptureFixture) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in image_shards.glob("*.tar"):
        memory.pipe(f"/far/{path.name}", path.read_bytes())
    memory.pipe("/far/s9.tar", (image_shards / "s1.tar").read_bytes()[:700])
    stream = iter(ShardSamples(["memory://far/*.tar", "memory://far/gone.tar"], Recipe(crop=64)))
    # the damaged one may still have given its first image
    assert {grey_level(next(stream)) for _ in range(13)} == set(range(12))
    assert "gone.tar" in caplog.text
    memory.rm("/far", recursive=True)


@pytest.mark.parametrize("url", ["nowhere://bucket/a.tar", "nowhere://bucket/*.tar"])
def test_shards_behind_a_protocol_that_nobody_knows(url: str) -> None:
    pytest.importorskip("webdataset")
    with pytest.raises(InvalidInput, match="nowhere"):
        expand_pattern(url)
