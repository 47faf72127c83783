"""torch's thread count, and regions that are worked on at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.codec_files import THREE, Picture, levels, rewritten
from support.pictures import synthetic
from tacit.codec import Codec
from tacit.entropy.streams import Stream
from tacit.errors import CorruptFile, InvalidInput
from tacit.models.coding import CodingModel


@pytest.mark.slow
def test_several_regions_are_worked_on_at_a_time(
    tiny_weights: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    compress = CodingModel.compress

    def watched(self: CodingModel, y: torch.Tensor, quality: Any, falling: bool) -> tuple[list[Stream], torch.Tensor]:
        seen.append((threading.current_thread().name, torch.get_num_threads()))
        return compress(self, y, quality, falling)

    monkeypatch.setattr(CodingModel, "compress", watched)
    before = torch.get_num_threads()
    image = picture(*THREE)
    files = [Codec(tiny_weights, threads=n, engine="torch", precision="fp32").encode(image) for n in (1, 2, 8)]
    assert [name.partition("_")[0] for name, _ in seen] == ["MainThread"] * 3 + ["tacit-region"] * 6
    assert [threads for _, threads in seen] == [1] * 3 + [1] * 3 + [2] * 3
    assert torch.get_num_threads() == before
    one, *others = (levels(Codec(tiny_weights, engine="torch", precision="fp32").decode(f)) for f in files)
    for other in others:
        assert np.abs(one - other).mean() < 0.01
    with pytest.raises(InvalidInput):
        Codec(tiny_weights, threads=2).encode(image, quality=101)


def counts_everywhere() -> tuple[int, int]:
    """torch's thread count here, and in a new thread."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return torch.get_num_threads(), found[0]


@pytest.fixture
def torch_threads() -> Iterator[int]:
    """torch set to a count that no codec below uses."""
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield 5
    torch.set_num_threads(before)


def test_the_thread_count_is_put_back(
    tiny_weights: Path, torch_threads: int, monkeypatch: pytest.MonkeyPatch, picture: Picture
) -> None:
    codec = Codec(tiny_weights, threads=2, engine="torch", precision="fp32")
    inside: list[int] = []
    analyse = CodingModel.analyse

    def noting(self: CodingModel, *arguments: Any) -> torch.Tensor:
        inside.append(torch.get_num_threads())
        return analyse(self, *arguments)

    monkeypatch.setattr(CodingModel, "analyse", noting)
    data = codec.encode(picture(30, 20))
    assert inside == [2]
    assert counts_everywhere() == (torch_threads, torch_threads)
    forged = rewritten(data, regions=[b"odd"])
    with pytest.raises(CorruptFile):
        codec.decode(forged)
    assert counts_everywhere() == (torch_threads, torch_threads)


def test_overlapping_calls_put_the_thread_count_back(
    tiny_weights: Path, torch_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A starts, B starts, A ends, B ends: each in its own thread, with its own count."""
    codecs = [Codec(tiny_weights, threads=n, engine="torch", precision="fp32") for n in (2, 3)]
    image = synthetic(16, 16)
    entered = [threading.Event(), threading.Event()]
    leave = [threading.Event(), threading.Event()]
    inside, after = [0, 0], [0, 0]
    analyse = CodingModel.analyse

    def waiting(self: CodingModel, *arguments: Any) -> torch.Tensor:
        number = int(threading.current_thread().name)
        inside[number] = torch.get_num_threads()
        entered[number].set()
        assert leave[number].wait(30)
        return analyse(self, *arguments)

    monkeypatch.setattr(CodingModel, "analyse", waiting)

    def work(number: int) -> None:
        codecs[number].encode(image)
        after[number] = torch.get_num_threads()

    threads = [threading.Thread(target=work, args=(n,), name=str(n)) for n in (0, 1)]
    for number in (0, 1):
        threads[number].start()
        assert entered[number].wait(30)
    for number in (0, 1):
        leave[number].set()
        threads[number].join(30)
    assert inside == [2, 3]
    assert after == [torch_threads, torch_threads]
    assert counts_everywhere() == (torch_threads, torch_threads)
