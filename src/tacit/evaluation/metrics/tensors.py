"""Images as tensors for networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def unit_batch(images: np.ndarray) -> torch.Tensor:
    """Convert images [N, H, W, 3] uint8 to [N, 3, H, W] float32 in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(torch.float32) / 255
