"""The engine that runs models with torch, on any of its devices; its arrays are tensors there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from tacit import weights
from tacit.codec.torch_model import TorchModel
from tacit.codec.torch_overlap import IN_FLIGHT, map_overlapped
from tacit.engine.limits import BATCH_PIXELS, REGIONS_AT_A_TIME
from tacit.errors import InvalidInput
from tacit.models.host_memory import copy_to_host, host_empty, to_device, to_host
from tacit.models.precision import has_fast_bf16

S = TypeVar("S")
T = TypeVar("T")

GPU_PIXELS = 8 << 20  # are coded together, if a GPU has the memory: that keeps it busy, and several parts are in flight
GPU_BYTES = 256  # that coding takes for each pixel on a GPU

_DTYPES = {np.int16: torch.int16, np.uint8: torch.uint8}


class TorchEngine:
    """torch on a device.

    Args:
        device: The device.
        precision: The precision of the transforms: "fp32", "bf16", or "auto", which is bf16 where that is fast.

    Raises:
        InvalidInput: There is no such device.
    """

    name = "torch"

    def __init__(self, device: object = "cpu", precision: str = "auto") -> None:
        try:
            self.place = torch.device(device)  # type: ignore[call-overload]
            torch.empty(0, device=self.place)
        except NotImplementedError as error:  # its text lists all backends
            raise InvalidInput(f"device {device}: the installed torch does not support it") from error
        except (RuntimeError, AssertionError, TypeError) as error:
            raise InvalidInput(f"device {device}: {str(error).splitlines()[0]}") from error
        self.device = str(self.place)
        self.precision = ("bf16" if has_fast_bf16(self.place) else "fp32") if precision == "auto" else precision
        self.regions_at_a_time = REGIONS_AT_A_TIME if self.place.type == "cpu" else 1

    @property
    def overlaps(self) -> bool:
        """Whether work leaves the host free."""
        return bool(self.place.type == "cuda")

    def pixels_together(self) -> int:
        """Return how many pixels are coded together.

        On a GPU the parts of a batch that are in flight take half of its free memory at most.
        """
        if self.place.type != "cuda":
            return BATCH_PIXELS
        free, _ = torch.cuda.mem_get_info(self.place)
        # torch has it and does not use it
        free += torch.cuda.memory_reserved(self.place) - torch.cuda.memory_allocated(self.place)
        return max(BATCH_PIXELS, min(GPU_PIXELS, free // 2 // IN_FLIGHT // GPU_BYTES))

    def load(self, path: Path) -> TorchModel:
        """Return the model of a weights file."""
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        return TorchModel(weights.load(path, self.place, dtype), self)

    def host_empty(self, shape: Sequence[int]) -> np.ndarray:
        """Return an array of the host to be filled, from which a GPU reads directly."""
        array: np.ndarray = host_empty(shape, torch.uint8, self.place).numpy()
        return array

    def zeros(self, shape: Sequence[int], dtype: type[np.generic]) -> Tensor:
        """Return a tensor of zeros."""
        return torch.zeros(tuple(shape), dtype=_DTYPES[dtype], device=self.place)

    def stack(self, arrays: Sequence[np.ndarray | Tensor]) -> Tensor:
        """Return arrays of one shape and type as a batch on the device."""
        values = [torch.from_numpy(array) if isinstance(array, np.ndarray) else array for array in arrays]
        if values[0].device.type != "cpu":
            return torch.stack(values).to(self.place)
        batch = host_empty((len(values), *values[0].shape), values[0].dtype, self.place)
        return to_device(torch.stack(values, out=batch), self.place)

    def from_host(self, array: np.ndarray) -> Tensor:
        """Return the values of an array on the device."""
        return torch.from_numpy(array).to(self.place)

    def to_host(self, array: Tensor) -> np.ndarray:
        """Return the values as an array of the host."""
        return to_host(array)

    def fetch(self, array: Tensor) -> Callable[[], np.ndarray]:
        """Begin to copy the values to the host; return what waits for them."""
        if self.place.type != "cuda":
            copied: np.ndarray = array.cpu().numpy()
            return lambda: copied
        pinned = copy_to_host(array.contiguous())
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(array.device))

        def wait() -> np.ndarray:
            event.synchronize()
            values: np.ndarray = pinned.numpy()
            return values

        return wait

    def map_overlapped(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Return `work(part)` for each part, several of them at a time on a GPU."""
        if not self.overlaps:
            return [work(part) for part in parts]
        return map_overlapped(work, parts, self.place)
