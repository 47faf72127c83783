"""Reading tensors from files that torch saved before version 1.6, without torch."""

from __future__ import annotations

import collections
import io
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import CorruptWeights

MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "DoubleStorage": np.float64,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ByteStorage": np.uint8,
}


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by their names; nothing but tensors and tables of them is accepted.

    Args:
        data: The file, as torch.save wrote it: a flat table of tensors.

    Raises:
        CorruptWeights: The file is damaged, of a newer version, or holds something else.
    """
    stream = io.BytesIO(data)
    storages: dict[str, NDArray[Any]] = {}
    try:
        if pickle_load(stream, storages) != MAGIC:
            raise ValueError("no magic number")
        pickle_load(stream, storages)  # the version of the protocol
        system = pickle_load(stream, storages)
        tensors = pickle_load(stream, storages)
        for key in pickle_load(stream, storages):
            if len(header := stream.read(8)) != 8:
                raise ValueError("a tensor is cut off")
            count = int.from_bytes(header, "little")
            storage = storages[key]
            size = count * storage.dtype.itemsize
            if count != storage.size or len(content := stream.read(size)) != size:
                raise ValueError("a tensor is cut off")
            storage[:] = np.frombuffer(content, storage.dtype)
        if not system["little_endian"] or not all(isinstance(value, np.ndarray) for value in tensors.values()):
            raise ValueError("it is no table of tensors")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, pickle.UnpicklingError) as error:
        raise CorruptWeights(f"the file of torch's tensors cannot be read: {error}") from error
    return {name: np.asarray(value, order="C") for name, value in tensors.items()}


def pickle_load(stream: io.BytesIO, storages: dict[str, NDArray[Any]]) -> Any:
    """Return the next object of a stream, whose tensors are views of `storages`."""
    return _Reader(stream, storages).load()


class _Reader(pickle.Unpickler):
    """Reads tables and tensors, and refuses everything that could run code."""

    def __init__(self, stream: io.BytesIO, storages: dict[str, NDArray[Any]]) -> None:
        super().__init__(stream)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, identity: Sequence[Any]) -> NDArray[Any]:
        _, kind, key, _, count, *_ = identity
        if not 0 <= count <= sys.maxsize // 8:
            raise pickle.UnpicklingError(f"a tensor has {count} values")
        return self._storages.setdefault(key, np.zeros(count, _TYPES[kind]))


def _tensor(
    storage: NDArray[Any], offset: int, shape: Sequence[int], strides: Sequence[int], *_: object
) -> NDArray[Any]:
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or (0 not in shape and last >= storage.size):
        raise pickle.UnpicklingError("a tensor reaches beyond its values")
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], tuple(shape), steps, writeable=False)
