"""Synthetic pictures with the statistics of photographs, the same on every machine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def synthetic(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A picture like a photograph in its statistics, the same everywhere: [height, width, 3] uint8.

    Waves whose amplitudes fall with their frequency, an edge, and a little noise.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    out = np.full((height, width, 3), 128.0)
    for octave in range(6):
        frequency = 2.0**octave / 256
        phase, angle = rng.uniform(0, 2 * np.pi, 2)
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        out += wave[..., None] * rng.uniform(20, 40, 3) / (octave + 1)
    out[(x + 2 * y) > 0.8 * (width + height)] -= 40
    out += rng.normal(0, 2, out.shape)
    pixels: np.ndarray = np.clip(np.rint(out), 0, 255).astype(np.uint8)
    return pixels


def samples(size: int = 128, count: int = 3) -> Tensor:
    """Pictures as the transforms take them: [count, 3, size, size]."""
    arrays = np.stack([synthetic(size, size, seed) for seed in range(count)])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255
