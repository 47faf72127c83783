"""What is exact, by the second decoder and by the conformance vectors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import reference_decoder as reference
from support.paths import VECTORS
from tacit.codec import Codec

GOLDEN = VECTORS / "golden"  # of each shipped model a folder
EXPECTED: dict[str, Any] = {p.parent.name: json.loads(p.read_text()) for p in sorted(GOLDEN.glob("*/golden.json"))}


def sha256(latents: np.ndarray) -> str:
    return hashlib.sha256(latents.astype("<i2").tobytes()).hexdigest()


def run_reference(specs: Any, integers: dict[str, Tensor], x: Tensor) -> Tensor:
    """x [B, C, h, w] -> the same, each image for itself."""
    tensors = {k: v.numpy() for k, v in integers.items()}
    out = [reference.chain(specs, tensors, image.long().permute(1, 2, 0).numpy()) for image in x]
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Case:
    """A file, the weights that it needs, and its latents' hash: the second decoder's, or a conformance vector's."""

    path: Path
    data: bytes
    latents: str

    def codec(self, **options: Any) -> Codec:
        return Codec(self.path, **{"precision": "fp32", **options})
