"""A small synthesis for a small model, with random but seeded weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch

from tacit.models.small_synthesis import SmallSynthesis, SmallSynthesisConfig
from tacit.weights.metadata import read_metadata
from tacit.weights.small import save_small, small_path

CONFIG = SmallSynthesisConfig(groups=2, channels=32, width=24, blocks=1, knots=3)


@torch.no_grad()
def small_synthesis(config: SmallSynthesisConfig = CONFIG) -> SmallSynthesis:
    """A network with non-zero weights on every path."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = SmallSynthesis(config)
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return net.eval()


def with_small_synthesis(weights: Path, folder: Path, net: SmallSynthesis | None = None) -> Path:
    """Copy a weights file into a folder, with a small synthesis beside it, and return the copy."""
    net = small_synthesis() if net is None else net
    folder.mkdir(exist_ok=True)
    copy = folder / weights.name
    shutil.copyfile(weights, copy)
    decode_hash = read_metadata(copy)["decode_hash"]
    tensors = {name: value.detach().numpy().astype(np.float32) for name, value in net.state_dict().items()}
    path = small_path(copy, decode_hash)
    path.parent.mkdir(exist_ok=True)
    save_small(path, net.config.as_dict(), tensors, decode_hash, {"data": "none"})
    return copy
