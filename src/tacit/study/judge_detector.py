"""The detector that judges whether a named thing is still recognised, and that no finder uses: NanoDet-G."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load as parse

from tacit.engine.sessions import Sessions
from tacit.finding.networks import GRAPH
from tacit.pretrained.catalogue import NANODET
from tacit.pretrained.loading import locate
from tacit.study.named_regions import Box

FILE = NANODET.file
MADE_FOR = "tacit.study"  # what the graph names as the weights that it is made for
SIDE = 416  # pixels of the square that the network sees, to which the image is stretched
STRIDES = (8, 16, 32)  # pixels of the square for each place of its three maps
BINS = 11  # of the distance from a place to each side of a box: 0 to 10 strides


PROTOCOL = f"NanoDet-G ({NANODET.label}, {SIDE}x{SIDE})"


def score(pixels: NDArray[np.uint8], number: int, box: Box, overlap: float = 0.5) -> float:
    """Return the score, 0 to 1, of the surest box of a class that lies on a part of an image; 0 without one.

    Args:
        pixels: The image, uint8 [H, W, 3].
        number: The class's number among COCO's 80.
        box: The part.
        overlap: How much of both boxes' area together they must share.

    Raises:
        MissingWeights: The network's file is not there.
        CorruptWeights: The file is not the one that is meant.
    """
    height, width = pixels.shape[:2]
    small = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    scores, bins = _network().run("detector", {"image": small[None]}, ["scores", "bins"])
    shares = overlaps(boxes_of(bins[0], width, height), box)
    fitting = scores[0, :, number][shares >= overlap]
    return float(fitting.max()) if len(fitting) else 0.0


@lru_cache
def _network() -> Sessions:
    path = locate(NANODET)
    tensors = parse(path.read_bytes())
    graphs = {key.removeprefix(GRAPH): tensors.pop(key).tobytes() for key in list(tensors) if key.startswith(GRAPH)}
    return Sessions(graphs, tensors, MADE_FOR, None, path)


def boxes_of(bins: NDArray[np.float32], width: int, height: int) -> NDArray[np.float64]:
    """Return the box of each place, in pixels [N, 4].

    Args:
        bins: What the network says of the distances to the sides, [N, 4 * BINS].
        width: The image's width.
        height: The image's height.
    """
    values = np.exp(bins.reshape(-1, 4, BINS) - bins.reshape(-1, 4, BINS).max(axis=2, keepdims=True))
    distances = (values * np.arange(BINS)).sum(axis=2) / values.sum(axis=2)
    boxes = np.empty((len(bins), 4))
    start = 0
    for stride in STRIDES:
        count = SIDE // stride
        end = start + count * count
        middle = (np.arange(count) + 0.5) * stride
        across, down = np.tile(middle, count), np.repeat(middle, count)
        left, top, right, bottom = (distances[start:end] * stride).T
        boxes[start:end] = np.stack([across - left, down - top, across + right, down + bottom], axis=1)
        start = end
    scaled: NDArray[np.float64] = boxes * (np.array([width, height] * 2) / SIDE)
    return scaled


def overlaps(boxes: NDArray[np.float64], box: Sequence[float]) -> NDArray[np.float64]:
    """Return what share of both areas together each of several boxes [N, 4] has in common with one."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = (high - low).clip(0).prod(axis=1)
    area = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
    shares: NDArray[np.float64] = common / (area + (box[2] - box[0]) * (box[3] - box[1]) - common)
    return shares
