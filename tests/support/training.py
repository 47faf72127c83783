"""Helpers of the tests of training: logs, checkpoints, shards and images."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from support.tiny_models import TINY, tiny_model
from tacit.text.tokens import TextTokens
from tacit.training.dataset.samples import Sample


def log_rows(out: Path, version: int = 0) -> list[dict[str, str]]:
    """Return the rows of a run's CSV log."""
    with (out / "csv" / f"version_{version}" / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


def load_state(path: Path) -> Any:
    """Return what a checkpoint holds."""
    return torch.load(path, weights_only=True)


def equal(a: Any, b: Any) -> bool:
    """Return whether two checkpoints, or parts of them, are the same bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def first_script_checkpoint(path: Path, steps: int) -> Path:
    """Write a checkpoint as the first training script did."""
    model = tiny_model().train()
    average = tiny_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99), fused=True)
    out = model(torch.rand(1, 3, 64, 64), TextTokens.empty(1, TINY.text_width), torch.tensor([50.0]))
    (out.y_bits + out.z_bits).sum().backward()
    optimizer.step()
    state = {
        "config": TINY.as_dict(),
        "model": model.state_dict(),
        "ema": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": steps,
        "pixels": 1_000_000,
    }
    torch.save(state, path)
    return path


def png(value: int, size: int = 64) -> bytes:
    """Return a PNG file of one grey level."""
    stream = io.BytesIO()
    Image.new("RGB", (size, size), (value, value, value)).save(stream, "PNG")
    return stream.getvalue()


def grey_level(sample: Sample) -> int:
    """Return the level of a sample of one grey."""
    assert sample.pixels is not None
    return int(sample.pixels[0, 0, 0])


def noisy_images(size: int, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch of two images, and the same with noise, as 8-bit values over 255."""
    torch.manual_seed(3)
    x = nn.functional.interpolate(torch.rand(2, 3, size // 8, size // 8), scale_factor=8, mode="bilinear")
    return (x * 255).round() / 255, ((x + noise * torch.randn_like(x)).clamp(0, 1) * 255).round() / 255


def gather_alone(t: torch.Tensor) -> torch.Tensor:
    """Collect a tensor over one process."""
    return t
