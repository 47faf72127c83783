"""A published state dict that anyone can make."""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor

from tacit.models.taco import TacoModel
from tacit.models.taco_import import PUBLISHED, published_name, to_published


def made(name: str, shape: torch.Size) -> Tensor:
    """The weights behind the vectors: anyone can make them from the published names."""
    r = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode()) % 2**31))
    if name.endswith("quantiles"):
        return torch.tensor([-10.0, 0.0, 10.0]) + 0.1 * r
    if name.startswith("entropy_bottleneck."):
        return 0.1 * r
    if name.endswith("gamma"):
        return 0.5 + 0.1 * r
    if name.endswith("_norm.weight"):
        return 1 + 0.1 * r
    if name.endswith("bias"):
        return 0.05 * r
    return r * 0.8 / math.sqrt(math.prod(shape[1:]))


def published_state() -> dict[str, Tensor]:
    """The published state dict that the vectors were computed with; its tables were never filled."""
    with torch.device("meta"):
        own = TacoModel(PUBLISHED).state_dict()
    shapes = {published_name(name): to_published(name, entry).shape for name, entry in own.items()}
    tables = ("_offset", "_quantized_cdf", "_cdf_length", "scale_table")
    return {name: made(name, shape) for name, shape in shapes.items()} | {
        f"gaussian_conditional.{name}": torch.zeros(0) for name in tables
    }
