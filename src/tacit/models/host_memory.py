"""Copies between a device and the host's memory.

A GPU reads and writes memory that is pinned at the full speed of the bus, and without holding up the host. On a CPU
nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def host_empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor in the host's memory, to be filled and copied to `device`, or from there."""
    return torch.empty(tuple(shape), dtype=dtype, device="cpu", pin_memory=device.type == "cuda")


def copy_to_host(values: Tensor) -> Tensor:
    """Return the values in the host's memory; from a GPU they are there once its stream has been waited for."""
    if values.device.type == "cpu":
        return values
    pinned = values.device.type == "cuda"
    return host_empty(values.shape, values.dtype, values.device).copy_(values, non_blocking=pinned)


def to_host(values: Tensor) -> np.ndarray:
    """Return the values as an array, for which a GPU has been waited for."""
    copied = copy_to_host(values)
    if values.device.type == "cuda":
        torch.cuda.current_stream(values.device).synchronize()
    array: np.ndarray = copied.numpy()
    return array


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return values of the host's memory on `device`; the host does not wait where the memory is pinned."""
    return values.to(device, non_blocking=device.type == "cuda")
