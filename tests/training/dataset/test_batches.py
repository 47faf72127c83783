"""Batches: shared out over processes, and cut on the device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import InvalidInput
from tacit.training.dataset.batches import BatchNumbers, SampleCollate
from tacit.training.dataset.pool import cut_crops, open_pool
from tacit.training.dataset.samples import Recipe, Samples
from tacit.training.dataset.token_cache import TokenCache


@settings(deadline=None, max_examples=30)
@given(batch=st.integers(1, 6), processes=st.integers(1, 4), start=st.integers(0, 5))
def test_processes_share_each_batch(batch: int, processes: int, start: int) -> None:
    batch *= processes
    whole = iter(BatchNumbers(batch, start))
    parts = [iter(BatchNumbers(batch, start, rank, processes)) for rank in range(processes)]
    for step in range(3):
        together = next(whole)
        assert together == list(range((start + step) * batch, (start + step + 1) * batch))
        assert [n for part in parts for n in next(part)] == together


def test_uneven_shares_are_refused() -> None:
    with pytest.raises(InvalidInput, match="multiple of the 2 processes"):
        BatchNumbers(5, 0, 0, 2)


def test_crops_cut_on_the_device_are_those_cut_by_numpy(pool: Path) -> None:
    opened = open_pool(pool, in_memory=True)
    recipe = Recipe(seed=1, crop=64)
    here, there = Samples(opened, recipe), Samples(opened, recipe, on_device=True)
    collate = SampleCollate(TokenCache("embedded", 256))
    a, b = (collate([s[n] for n in range(8)]) for s in (here, there))
    assert a.pixels is not None
    assert b.places is not None
    assert torch.equal(a.pixels, cut_crops(torch.from_numpy(opened.pixels), b.places, 64))
    assert torch.equal(a.seeds, b.seeds)
    assert a.captions == b.captions
