"""Weights and checkpoints in small files, for where large ones cannot be brought back from.

The files of a name are joined by `cat NAME.* > NAME`. The weights are those of the moving average, their large tensors
in half precision: `tacit fine-tune` and `tacit export` read them, like a checkpoint.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from tacit import files
from tacit.errors import CorruptWeights
from tacit.training.checkpoint import Checkpoint

PIECE = 15_000_000  # bytes of a file at most
_LARGE = 4096  # values from which a tensor is written in half precision
_HIGHEST = 6e4  # values above would be infinite there


def write_weights(checkpoint: Checkpoint, path: Path) -> list[Path]:
    """Write the averaged weights of a checkpoint.

    Returns:
        The files: `path` with .00, .01 and so on behind it.

    Raises:
        CorruptWeights: A weight is not finite.
        PathError: A file cannot be written.
    """
    for name, values in checkpoint.average.items():
        if not bool(values.isfinite().all()):
            raise CorruptWeights(f"{checkpoint.path}: {name} must be finite")
    state = {
        "model": {name: _compact(values) for name, values in checkpoint.average.items()},
        "architecture": checkpoint.architecture,
        "config": dict(checkpoint.model_config),
        "training": dict(checkpoint.config or {}),
        "steps": checkpoint.steps,
        "pixels": checkpoint.pixels,
        "seconds": checkpoint.seconds,
    }
    stream = io.BytesIO()
    torch.save(state, stream)
    return write_pieces(stream.getvalue(), path)


def write_pieces(data: bytes, path: Path) -> list[Path]:
    """Write bytes to `path` with .00, .01 and so on behind it, and return these files.

    Raises:
        PathError: A file cannot be written.
    """
    pieces = []
    for number, start in enumerate(range(0, len(data), PIECE)):
        piece = path.with_name(f"{path.name}.{number:02}")
        files.write(str(piece), data[start : start + PIECE], force=True)
        pieces.append(piece)
    return pieces


def _compact(values: Tensor) -> Tensor:
    values = values.detach().cpu().contiguous()
    if values.dtype == torch.float32 and values.numel() > _LARGE and float(values.abs().max()) < _HIGHEST:
        return values.half()
    return values
