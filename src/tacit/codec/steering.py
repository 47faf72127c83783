"""Steering: what a caption names gets better, at the cost of what it does not name.

A small network finds where in the image the words are (`tacit.models.grounding`); the quality of the file's cells
follows it. The decoder reads the qualities from the file and knows nothing of words.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load as load_safetensors
from torch import Tensor

from tacit.container import cells
from tacit.files import verified
from tacit.models.grounding import STRIDE, Grounding
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.tokens import TextTokens

NETWORK_SHA256 = "861ed78209fa1b9716eeba75d30ded159bd2e38c1ffc55fdc6f3efdcc0a88255"
VIEW = 384  # pixels along the longer side of the copy that the network sees: about the size it was trained with
SHARPNESS = 4.0  # multiplies differences inside an image: the network is unsure, and says less than it knows
ENCODER = "embedded"  # the text encoder whose words the network knows


def relevance(pixels: np.ndarray, tokens: CaptionTokens) -> np.ndarray:
    """Return how much each cell of 64x64 pixels shows what the caption names.

    Args:
        pixels: [H, W, 1 or 3] uint8.
        tokens: Of one caption, by the embedded text encoder.

    Returns:
        float32 [ceil(H / 64), ceil(W / 64)] in 0..1; 0.5 is the average relevance in this image.

    Raises:
        CorruptWeights: The network's file is damaged.
    """
    height, width = pixels.shape[:2]
    shrink = VIEW / max(height, width)
    size = [max(4 * STRIDE, round(side * shrink / STRIDE) * STRIDE) for side in (height, width)]
    x = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        x = F.interpolate(x.expand(-1, 3, -1, -1), size, mode="bilinear", antialias=True)
        logits = _network()(x.contiguous(memory_format=torch.channels_last), TextTokens.of(tokens))
        seen = (SHARPNESS * (logits - logits.mean())).sigmoid()
        # a cell is 64 pixels also where the border cuts it
        rows, columns = cells(width, height)
        reach = [rows * 64 / height, columns * 64 / width]
        shares: np.ndarray = _onto(seen, (rows, columns), reach)[0].numpy()
        return shares


def steering(pixels: np.ndarray, tokens: CaptionTokens, strength: float) -> np.ndarray:
    """Return what is added to the quality of each cell: [ceil(H / 64), ceil(W / 64)], whole numbers, on average 0.

    Args:
        pixels: As for `relevance`.
        tokens: As for `relevance`.
        strength: Steps of quality between what the caption names and what it does not.

    Raises:
        CorruptWeights: The network's file is damaged.
    """
    shares = relevance(pixels, tokens)
    offsets: np.ndarray = np.rint(strength * (shares - shares.mean())).clip(-100, 100)
    return offsets


def _onto(x: Tensor, grid: tuple[int, int], reach: list[float]) -> Tensor:
    """Average x [B, h, w] over a grid whose cells go `reach` times as far as x does, its border repeated."""
    extra = [round(side * (r - 1)) for side, r in zip(x.shape[1:], reach, strict=True)]
    padded = F.pad(x[:, None], (0, extra[1], 0, extra[0]), mode="replicate")
    return F.interpolate(padded, grid, mode="area")[:, 0]


@lru_cache(maxsize=1)
def _network() -> Grounding:
    content = verified(Path(__file__).parents[1] / "text" / "grounding.safetensors", NETWORK_SHA256)
    with torch.device("cpu"):
        network = Grounding().float()  # whatever the caller's defaults are
    tensors = {name: values.float() for name, values in load_safetensors(content).items()}
    network.load_state_dict(tensors, strict=False)  # the norms' counts of batches are not stored
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
