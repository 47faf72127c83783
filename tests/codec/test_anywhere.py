"""The codec where programs take it: other processes, copies, files at their end, other default devices."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import tacit
from support.pictures import synthetic
from tacit.codec import Codec, read_bytes


@pytest.fixture
def meta() -> Iterator[None]:
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@pytest.mark.parametrize("used", [False, True])
def test_a_codec_can_be_pickled_and_copied(used: bool) -> None:
    codec = Codec(threads=1, word_weights=True)
    image = synthetic(40, 30)
    expected = codec.encode(image, "a dog") if used else None
    for other in (pickle.loads(pickle.dumps(codec)), copy.deepcopy(codec), copy.copy(codec)):
        assert (other.path, other.threads, other.steer) == (codec.path, 1, codec.steer)
        expected = expected or other.encode(image, "a dog")
        assert other.encode(image, "a dog") == expected


def test_what_a_codec_has_prepared_can_be_pickled() -> None:
    prepared = Codec(threads=1).prepare(synthetic(40, 30), "a dog")
    data = prepared.encode(40).data
    assert pickle.loads(pickle.dumps(prepared)).encode(40).data == data


@pytest.mark.slow
def test_a_codec_can_be_sent_to_a_spawned_worker() -> None:
    codec = Codec(threads=1)
    image = synthetic(40, 30)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(codec.encode, image).result() == codec.encode(image)


def test_a_file_at_its_end_is_read_from_its_beginning() -> None:
    data = tacit.encode(synthetic(24, 16))
    for place in (0, len(data)):
        stream = io.BytesIO(data)
        stream.seek(place)
        assert read_bytes(stream) == data
        stream.seek(place)
        assert tacit.info(stream).bytes == len(data)


def test_a_pipe_is_read_from_where_it_is() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe(b"__data")
    pipe.read(2)
    assert read_bytes(pipe) == b"data"


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("threads", [None, 1])
def test_the_default_device_of_torch_does_not_matter(threads: int | None) -> None:
    codec = Codec(threads=threads)
    image = synthetic(40, 30)
    data = codec.encode(image, "a dog")
    assert codec.decode(data).size == (40, 30)
    assert codec.synthesise([codec.read(data)])[0].shape == (30, 40, 3)
    assert torch.get_default_device().type == "meta"
    torch.set_default_device(None)
    assert Codec(threads=threads).encode(image, "a dog") == data


class Decoded(Dataset[np.ndarray]):
    """A data set as users write one, which decodes in whatever process it is asked."""

    def __init__(self, codec: Codec, files: list[bytes]) -> None:
        self.codec, self.files = codec, files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.array(self.codec.decode(self.files[index]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create", "ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("fork", 8), ("spawn", 2)])
def test_a_data_set_of_ones_own_decodes_in_workers(tiny_weights: Path, start: str, workers: int) -> None:
    codec = Codec(tiny_weights)  # as many threads as there are cores
    some = [codec.encode(synthetic(40, 30, seed)) for seed in range(2)]
    files = some * workers
    here = [np.asarray(codec.decode(file)) for file in some] * workers  # threads run before a fork
    loader = DataLoader(
        Decoded(codec, files), batch_size=None, num_workers=workers, multiprocessing_context=start, timeout=300
    )
    for _ in range(2 if start == "fork" else 1):  # processes that are spawned know nothing of those before them
        for one, expected in zip(loader, here, strict=True):
            assert np.abs(np.asarray(one).astype(int) - expected).max() <= 1  # the threads differ, and with them floats
