"""From a checkpoint to a weights file: `python -m tacit.training.export CHECKPOINT POOL OUT`.

EMA weights, entropy networks frozen to integers and proven, with a training card.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit import weights
from tacit.data.pool import open_pool
from tacit.models.frozen import FrozenEntropy, freeze_entropy
from tacit.models.model import SmallConfig, SmallModel
from tacit.text.tokens import TextTokens


def load_checkpoint(path: Path) -> tuple[SmallModel, dict[str, Any]]:
    """The EMA model of a training checkpoint, and the checkpoint."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in state["config"].items()}
    model = SmallModel(SmallConfig(**values))
    model.load_state_dict(state["ema"])
    return model.eval(), state


@torch.no_grad()
def freeze(model: SmallModel, crops: Tensor) -> FrozenEntropy:
    """Freeze with crops [N, 3, H, W] uint8 as samples, qualities spread evenly over them."""
    quality = torch.linspace(0, 100, crops.shape[0])
    x = crops.float() / 255
    y = model.analysis(x, TextTokens.empty(x.shape[0], model.config.text_width)).float()
    y = y * model.gain(quality)[:, :, None, None]
    return freeze_entropy(model, y, model.hyper_latents(y), quality)


def main() -> None:
    """Parse and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--card", type=Path, help="JSON with what the training card shall say besides the numbers")
    arguments = parser.parse_args()
    model, state = load_checkpoint(arguments.checkpoint)
    pool = open_pool(arguments.pool)
    rng = np.random.default_rng(0)
    crops = np.stack([pool.crop(int(i), 256, rng) for i in rng.choice(len(pool), 32)])
    frozen = freeze(model, torch.from_numpy(crops).permute(0, 3, 1, 2))
    card = json.loads(arguments.card.read_text()) if arguments.card else {}
    card |= {"steps": state["step"], "gigapixels": round(state["pixels"] / 1e9, 2)}
    print(weights.save(arguments.out, model, frozen, card))


if __name__ == "__main__":
    main()
