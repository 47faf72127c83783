"""Files that torch saved in its first form, read without it."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest

from tacit.errors import CorruptWeights
from tacit.pretrained.torch_files import read_tensors

torch = pytest.importorskip("torch")


def saved(values: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(values, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


@pytest.fixture
def tensors() -> dict[str, Any]:
    whole = torch.arange(24, dtype=torch.float32)
    return {
        "rows": whole.reshape(2, 3, 4),
        "turned": whole.reshape(4, 6).T,
        "part": whole[5:11],
        "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
    }


def test_tensors_are_those_that_torch_reads(tensors: dict[str, Any]) -> None:
    read = read_tensors(saved(tensors))
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.numpy().dtype
        assert np.array_equal(read[name], tensor.numpy()), name
        assert read[name].flags.c_contiguous


def test_cut_files_are_refused(tensors: dict[str, Any]) -> None:
    data = saved(tensors)
    for length in (*range(0, len(data) - 100, 37), *range(len(data) - 100, len(data))):
        with pytest.raises(CorruptWeights, match="cannot be read"):
            read_tensors(data[:length])


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("it ran",)


@pytest.mark.parametrize("values", [{"a": Evil()}, {"a": "a text"}, [1, 2]])
def test_what_is_no_table_of_tensors_is_refused(values: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CorruptWeights, match="cannot be read"):
        read_tensors(saved(values))
    assert capsys.readouterr().out == ""


def test_a_tensor_that_reaches_beyond_its_values_is_refused(tensors: dict[str, Any]) -> None:
    data = saved({"rows": torch.zeros(4, 4)})
    shape = pickle.dumps((4, 4), 2)[2:-3]
    assert data.count(shape) >= 1
    with pytest.raises(CorruptWeights, match="cannot be read"):
        read_tensors(data.replace(shape, pickle.dumps((9, 4), 2)[2:-3], 1))
