"""The graph of the network that finds a caption's words in an image (`tacit.training.grounding`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tacit.graphs.builder import BOOL, FLOAT, GraphBuilder
from tacit.graphs.transforms import conv, linear

NAME = "grounding"
NORM_EPSILON = 1e-5  # of torch's batch norm
LENGTH_EPSILON = 1e-12  # of torch's normalize


def make_grounding_graph(tensors: Mapping[str, np.ndarray], network_hash: str) -> bytes:
    """Return the network as a graph.

    It takes `image` [B, 3, h, w] in [0, 1], h and w multiples of 16, and the captions' `words` [B, T, D], `mask` [B, T]
    and `weights` [B, T]. It gives `logits` [B, h/16, w/16] of each position being what the caption names.

    Args:
        tensors: The network's, by the names that they have in torch.
        network_hash: What the graph says of the tensors that it fits, as `decode_hash`.

    Raises:
        MissingExtra: The package `onnx` is not installed.
    """
    b = GraphBuilder(NAME, tensors)
    image = b.input("image", FLOAT, ["batch", 3, "height", "width"])
    width = tensors["text_proj.weight"].shape[1]
    words = b.input("words", FLOAT, ["batch", "tokens", width])
    mask = b.input("mask", BOOL, ["batch", "tokens"])
    weights = b.input("weights", FLOAT, ["batch", "tokens"])

    x = b.op("Sub", b.op("Mul", image, b.constant(2.0)), b.constant(1.0))
    positions = _positions(b, _features(b, x))
    query = _query(b, words, mask, weights)
    likeness = b.op(
        "ReduceSum", b.op("Mul", positions, b.op("Unsqueeze", query, b.sizes(2, 3))), b.sizes(1), keepdims=0
    )
    logits = b.op("Add", b.op("Mul", likeness, b.weight("scale")), b.weight("shift"))
    b.output("logits", logits, FLOAT, ["batch", "rows", "columns"])
    return b.serialise({"decode_hash": network_hash})


def _features(b: GraphBuilder, x: str) -> str:
    """Return the features [B, C, h/16, w/16]; the tensors' names tell which layers there are."""
    x = b.op("Relu", conv(b, x, "features.0", strides=[2, 2], pads=[1, 1, 1, 1]))
    layer = 2
    while f"features.{layer}.weight" in b.tensors:
        x = _batch_norm(b, conv(b, x, f"features.{layer}", strides=[2, 2]), f"features.{layer + 1}")
        layer += 2
        while f"features.{layer}.depthwise.weight" in b.tensors:
            x = _block(b, x, f"features.{layer}")
            layer += 1
    return x


def _block(b: GraphBuilder, x: str, name: str) -> str:
    """Return a residual block: depthwise 3x3, then a pair of 1x1."""
    width = b.tensors[f"{name}.depthwise.weight"].shape[0]
    y = _batch_norm(b, conv(b, x, f"{name}.depthwise", group=width, pads=[1, 1, 1, 1]), f"{name}.norm")
    y = b.op("Relu", conv(b, y, f"{name}.expand"))
    return b.op("Add", x, _batch_norm(b, conv(b, y, f"{name}.shrink"), f"{name}.norm_out"))


def _batch_norm(b: GraphBuilder, x: str, name: str) -> str:
    """Return features, scaled and shifted by the statistics of training."""
    parts = [b.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
    return b.op("BatchNormalization", x, *parts, epsilon=NORM_EPSILON)


def _positions(b: GraphBuilder, features: str) -> str:
    """Return unit vectors of the positions [B, shared, h/16, w/16]; each knows a little about the whole image."""
    mean = b.op("ReduceMean", features, b.sizes(2, 3), keepdims=0)
    context = b.op("Unsqueeze", linear(b, mean, "context"), b.sizes(2, 3))
    return _unit(b, conv(b, b.op("Relu", b.op("Add", features, context)), "image_proj"), 1)


def _query(b: GraphBuilder, words: str, mask: str, weights: str) -> str:
    """Return what is looked for [B, shared]: the words' unit vectors, each as much as its word says."""
    said = b.op(
        "Add", b.part(linear(b, words, "salience"), 0, 1, 2), b.op("Log", b.op("Unsqueeze", weights, b.sizes(2)))
    )
    real = b.op("Unsqueeze", mask, b.sizes(2))
    shares = b.op("Softmax", b.op("Where", real, said, b.constant(-1e30)), axis=1)
    shares = b.op("Where", real, shares, b.constant(0.0))  # where there is no word, padding has no share either
    vectors = _unit(b, linear(b, words, "text_proj"), 2)
    return b.op("ReduceSum", b.op("Mul", vectors, shares), b.sizes(1), keepdims=0)


def _unit(b: GraphBuilder, x: str, axis: int) -> str:
    """Return vectors along an axis with a length of 1."""
    length = b.op("ReduceL2", x, b.sizes(axis), keepdims=1)
    return b.op("Div", x, b.op("Max", length, b.constant(LENGTH_EPSILON)))
