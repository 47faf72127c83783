"""Which devices compute fast in bf16."""

from __future__ import annotations

import torch
from torch.cpu import _is_avx512_bf16_supported  # there is no public name


def has_fast_bf16(device: torch.device) -> bool:
    """Return whether a device computes in bf16 itself; elsewhere bf16 is emulated, and slow."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(_is_avx512_bf16_supported())
