"""Steering: what a caption names gets better, at the cost of what it does not name.

A small network finds where in the image the words are (`tacit.graphs.grounding`); the quality of the file's cells
follows it. The decoder reads the qualities from the file and knows nothing of words.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load as load_safetensors

from tacit.container import cells
from tacit.engine.sessions import Sessions
from tacit.files import verified
from tacit.text.caption_tokens import CaptionTokens

FOLDER = Path(__file__).parents[1] / "text"
NETWORK_SHA256 = "861ed78209fa1b9716eeba75d30ded159bd2e38c1ffc55fdc6f3efdcc0a88255"
GRAPH_SHA256 = "ae148f4aafa0a0d31e74e475b27d586473c3d80e603e3267d02cf908ab04c008"  # of the network's graph
STRIDE = 16  # pixels of the small copy between the network's positions
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
    rows, columns = (max(4 * STRIDE, round(side * shrink / STRIDE) * STRIDE) for side in (height, width))
    logits = _logits(_resized(pixels, rows, columns), tokens)
    seen = 1 / (1 + np.exp(-SHARPNESS * (logits - logits.mean())))
    # a cell is 64 pixels also where the border cuts it
    grid = cells(width, height)
    return _onto(seen, grid, [grid[0] * 64 / height, grid[1] * 64 / width])


def steering(pixels: np.ndarray, tokens: CaptionTokens, strength: float) -> np.ndarray:
    """Return what is added to the quality of each cell: [ceil(H / 64), ceil(W / 64)], whole numbers, on average 0.

    Args:
        pixels: As for `relevance`.
        tokens: As for `relevance`.
        strength: Steps of quality between what the caption names and what it does not.

    Raises:
        CorruptWeights: The network's file is damaged.
    """
    return offsets(relevance(pixels, tokens), strength)


def offsets(relevances: np.ndarray, strength: float) -> np.ndarray:
    """Return what is added to the quality of each cell where its relevance is known: whole numbers, on average 0.

    Args:
        relevances: The relevance of each cell, 0..1.
        strength: Steps of quality between relevance 0 and 1.
    """
    steps: np.ndarray = np.rint(strength * (relevances - relevances.mean())).clip(-100, 100)
    return steps


def _resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a copy [1, 3, height, width] in 0..1, each pixel of which is a mean of what it stands for."""
    # One channel at a time, since each takes four bytes for a pixel of the image.
    planes = [
        np.asarray(Image.fromarray(plane).convert("F").resize((width, height), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(pixels, 2, 0)
    ]
    return np.broadcast_to(np.stack(planes)[None] / np.float32(255), (1, 3, height, width))


def _logits(image: np.ndarray, tokens: CaptionTokens) -> np.ndarray:
    """Return how likely each position [h/16, w/16] is what the caption names, as logits.

    Args:
        image: [1, 3, h, w] float32 in 0..1.
        tokens: Of one caption.
    """
    inputs = {"words": tokens.embeddings, "mask": tokens.mask, "weights": tokens.weights}
    (logits,) = _network().run("grounding", {"image": image, **inputs}, ["logits"])
    of_caption: np.ndarray = logits[0]
    return of_caption


def _onto(x: np.ndarray, grid: tuple[int, int], reach: list[float]) -> np.ndarray:
    """Average x [h, w] over a grid whose cells go `reach` times as far as x does, its border repeated."""
    padded = np.pad(x, [(0, round(side * (r - 1))) for side, r in zip(x.shape, reach, strict=True)], mode="edge")
    down, across = (_averaging(side, count) for side, count in zip(padded.shape, grid, strict=True))
    return np.asarray(down @ padded @ across.T, np.float32)


def _averaging(side: int, count: int) -> np.ndarray:
    """Return the shares [count, side] of positions in `count` cells of equal size; cut positions count for both."""
    first = np.arange(count) * side // count
    last = -(-np.arange(1, count + 1) * side // count)
    at = np.arange(side)
    inside = (at >= first[:, None]) & (at < last[:, None])
    shares: np.ndarray = inside / inside.sum(axis=1, keepdims=True)
    return shares


@lru_cache(maxsize=1)
def _network() -> Sessions:
    tensors = load_safetensors(verified(FOLDER / "grounding.safetensors", NETWORK_SHA256))
    graph = verified(FOLDER / "grounding.onnx", GRAPH_SHA256)
    return Sessions({"grounding": graph}, tensors, NETWORK_SHA256, threads=None)
