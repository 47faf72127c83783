"""Graphs of the float transforms of `tacit-s`: analysis, hyper-analysis, synthesis, and the small synthesis.

The same as `tacit.models.tacit_s` and `tacit.models.small_synthesis`, on planes [B, C, h, w]. A quality comes as
[B, 1, 1] or as a map [B, h, w].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tacit.entropy.units import LATENT_STEP
from tacit.errors import InvalidInput
from tacit.graphs.builder import BOOL, FLOAT, INT16, UINT8, GraphBuilder

PIXELS8 = 3 * 8 * 8


def conv(b: GraphBuilder, x: str, name: str, **attributes: Any) -> str:
    """Return a convolution by the weights and the bias of a name."""
    bias = [b.weight(f"{name}.bias")] if f"{name}.bias" in b.tensors else []
    return b.op("Conv", x, b.weight(f"{name}.weight"), *bias, **attributes)


def linear(b: GraphBuilder, x: str, name: str) -> str:
    """Return a linear layer of rows [B, N, I]."""
    product = b.op("MatMul", x, b.op("Transpose", b.weight(f"{name}.weight"), perm=[1, 0]))
    return b.op("Add", product, b.weight(f"{name}.bias"))


def norm(b: GraphBuilder, x: str, name: str) -> str:
    """Return the layer norm of rows."""
    return b.op("LayerNormalization", x, b.weight(f"{name}.weight"), b.weight(f"{name}.bias"), axis=-1, epsilon=1e-5)


def gated_block(b: GraphBuilder, x: str, name: str) -> str:
    """Return a residual block: 1x1, depthwise 3x3, 1x1; then a gated pair of 1x1."""
    width = b.tensors[f"{name}.mix_in.bias"].shape[0]
    y = b.op("LeakyRelu", conv(b, x, f"{name}.mix_in"), alpha=0.1)
    y = conv(b, y, f"{name}.depthwise", group=width, pads=[1, 1, 1, 1])
    x = b.op("Add", x, conv(b, y, f"{name}.mix_out"))
    # two convolutions, because splitting one's result copies it
    weight, bias = b.weight(f"{name}.gate_in.weight"), b.weight(f"{name}.gate_in.bias")
    value, gate = (
        b.op("Conv", x, b.part(weight, start, start + width, 0), b.part(bias, start, start + width, 0))
        for start in (0, width)
    )
    gated = b.op("Mul", value, b.op("Sigmoid", gate))
    return b.op("Add", x, conv(b, gated, f"{name}.gate_out"))


def interpolated(b: GraphBuilder, name: str, quality: str) -> str:
    """Return the rows of a table [K, C], interpolated over the quality: [B, C, 1, 1] or [B, C, h, w]."""
    knots = b.tensors[name].shape[0]
    position = b.op("Mul", b.op("Clip", quality, b.constant(0.0), b.constant(100.0)), b.constant((knots - 1) / 100))
    away = b.op("Abs", b.op("Sub", b.op("Unsqueeze", position, b.sizes(3)), b.constant(np.arange(knots))))
    hats = b.op("Relu", b.op("Sub", b.constant(1.0), away))
    return b.op("Transpose", b.op("MatMul", hats, b.weight(name)), perm=[0, 3, 1, 2])


def gain(b: GraphBuilder, name: str, quality: str) -> str:
    """Return gains [B, C, 1, 1] or [B, C, h, w]."""
    return b.op("Exp", interpolated(b, f"{name}.log_gain", quality))


def affine(b: GraphBuilder, x: str, name: str, quality: str) -> str:
    """Return features, scaled and shifted by the quality."""
    scale = b.op("Add", interpolated(b, f"{name}.scale", quality), b.constant(1.0))
    return b.op("Add", b.op("Mul", x, scale), interpolated(b, f"{name}.shift", quality))


def unshuffle(b: GraphBuilder, x: str, channels: int, by: int) -> str:
    """Return pixels as channels, in torch's order: [B, C, by h, by w] -> [B, C by by, h, w]."""
    batch, height, width = b.dims(x, 0, 2, 3)
    rows, columns = (b.op("Div", side, b.sizes(by)) for side in (height, width))
    x = b.reshape(x, batch, channels, rows, by, columns, by)
    x = b.op("Transpose", x, perm=[0, 1, 3, 5, 2, 4])
    return b.reshape(x, batch, channels * by * by, rows, columns)


def rows_of(b: GraphBuilder, x: str) -> str:
    """Return planes [B, C, h, w] as rows [B, h w, C]."""
    return b.op("Transpose", b.reshape(x, 0, 0, -1), perm=[0, 2, 1])


def planes_of(b: GraphBuilder, rows: str, like: str) -> str:
    """Return rows [B, h w, C] as planes [B, C, h, w], with the height and the width of `like`."""
    height, width = b.dims(like, 2, 3)
    return b.reshape(b.op("Transpose", rows, perm=[0, 2, 1]), 0, 0, height, width)


def attention(b: GraphBuilder, queries: str, keys: str, name: str, heads: int, bias: str | None) -> str:
    """Return multi-head attention of rows; a bias [B, 1, 1, T] is added to every logit of a key."""
    width = b.tensors[f"{name}.out_proj.bias"].shape[0]
    weight, offset = b.weight(f"{name}.in_proj.weight"), b.weight(f"{name}.in_proj.bias")

    def projected(x: str, index: int) -> str:  # [B, n, C] -> [B, n, heads, C / heads]
        start, stop = index * width, (index + 1) * width
        matrix = b.op("Transpose", b.part(weight, start, stop, 0), perm=[1, 0])
        y = b.op("Add", b.op("MatMul", x, matrix), b.part(offset, start, stop, 0))
        return b.reshape(y, 0, 0, heads, width // heads)

    q = b.op("Transpose", projected(queries, 0), perm=[0, 2, 1, 3])
    k = b.op("Transpose", projected(keys, 1), perm=[0, 2, 3, 1])
    v = b.op("Transpose", projected(keys, 2), perm=[0, 2, 1, 3])
    logits = b.op("Mul", b.op("MatMul", q, k), b.constant((width // heads) ** -0.5))
    if bias is not None:
        logits = b.op("Add", logits, bias)
    out = b.op("MatMul", b.op("Softmax", logits, axis=-1), v)
    return linear(b, b.reshape(b.op("Transpose", out, perm=[0, 2, 1, 3]), 0, 0, width), f"{name}.out_proj")


def inject(b: GraphBuilder, x: str, words: str, bias: str, name: str, heads: int) -> str:
    """Return features with what they draw from the words."""
    keys = norm(b, linear(b, words, f"{name}.text_proj"), f"{name}.text_norm")
    rows = rows_of(b, x)
    attended = attention(b, norm(b, rows, f"{name}.image_norm"), keys, f"{name}.attention", heads, bias)
    attended = b.op("Mul", attended, b.weight(f"{name}.gamma"))
    return b.op("Add", x, planes_of(b, attended, x))


def extract(b: GraphBuilder, x: str, words: str, name: str, heads: int) -> str:
    """Return the words with what they draw from the pixels."""
    pixels = norm(b, linear(b, rows_of(b, x), f"{name}.image_proj"), f"{name}.image_norm")
    attended = attention(b, norm(b, words, f"{name}.text_norm"), pixels, f"{name}.attention", heads, None)
    return b.op("Add", words, attended)


def build_analysis(b: GraphBuilder, config: Mapping[str, Any]) -> None:
    """Build the analysis: pixels and a caption's words to y before the gain.

    Raises:
        InvalidInput: The attention is of a kind that has no graph.
    """
    if config["attention"] != "full":
        raise InvalidInput(f"attention must be full to be made a graph, got {config['attention']}")
    width, heads = config["text_width"], config["heads"]
    pixels = b.input("pixels", UINT8, ["batch", "height", "width", 3])
    words = b.input("words", FLOAT, ["batch", "tokens", width])
    mask = b.input("mask", BOOL, ["batch", "tokens"])
    weights = b.input("weights", FLOAT, ["batch", "tokens"])

    batch, height, columns = b.dims(pixels, 0, 1, 2)
    null = b.op("Expand", b.weight("analysis.null_token"), b.op("Concat", batch, b.sizes(1, width), axis=0))
    words = b.op("Concat", null, words, axis=1)
    bias = b.op("Where", mask, b.op("Log", weights), b.constant(-np.inf))
    bias = b.op("Concat", b.part(b.op("Mul", weights, b.constant(0.0)), 0, 1, 1), bias, axis=1)
    bias = b.op("Unsqueeze", bias, b.sizes(1, 2))

    down, across = (b.op("Div", side, b.sizes(8)) for side in (height, columns))
    y = b.reshape(b.cast(pixels, FLOAT), batch, down, 8, across, 8, 3)
    y = b.reshape(b.op("Transpose", y, perm=[0, 5, 2, 4, 1, 3]), batch, PIXELS8, down, across)
    y = b.op("Sub", b.op("Mul", y, b.constant(2 / 255)), b.constant(1.0))
    blocks8, blocks16 = config["analysis8"], config["analysis16"]
    for number in range(blocks8):
        if number == blocks8 // 2:
            y = inject(b, y, words, bias, "analysis.inject8", heads)
        y = gated_block(b, y, f"analysis.blocks8.{number}")
    if not blocks8:
        y = inject(b, y, words, bias, "analysis.inject8", heads)
    y = conv(b, unshuffle(b, y, PIXELS8, 2), "analysis.project")
    for number in range(blocks16 + 1):
        if number == blocks16 // 2:
            words = extract(b, y, words, "analysis.extract16", heads)
            y = inject(b, y, words, bias, "analysis.inject16", heads)
        if number < blocks16:
            y = gated_block(b, y, f"analysis.blocks16.{number}")
    b.output("y", y, FLOAT, ["batch", config["latent"], "rows", "columns"])


def build_hyper_analysis(b: GraphBuilder, config: Mapping[str, Any]) -> None:
    """Build the gain and the hyper-analysis: y to what is rounded, and to the hyper-latents."""
    y = b.input("y", FLOAT, ["batch", config["latent"], "rows", "columns"])
    quality = b.input("quality", FLOAT, ["batch", "quality_rows", "quality_columns"])
    scaled = b.op("Mul", y, gain(b, "gain", quality))
    b.output("scaled", scaled, FLOAT, ["batch", config["latent"], "rows", "columns"])
    # to whole hyper-latents, by repeating the last row and column
    missing = [b.op("Mod", b.op("Neg", side), b.sizes(4)) for side in b.dims(y, 2, 3)]
    x = b.op("Pad", scaled, b.op("Concat", b.sizes(0, 0, 0, 0, 0, 0), *missing, axis=0), mode="edge")
    size = b.op("Abs", x)
    square = b.op("Mul", x, x)
    root = b.op("Sqrt", b.op("Add", square, b.constant(1.0)))
    grown = b.op("Add", size, b.op("Div", square, b.op("Add", root, b.constant(1.0))))
    z = b.op("Mul", b.op("Sign", x), b.op("Log", b.op("Add", grown, b.constant(1.0))))
    width = b.tensors["hyper_analysis.0.bias"].shape[0]
    z = b.op("LeakyRelu", conv(b, z, "hyper_analysis.0"), alpha=0.1)
    z = conv(b, unshuffle(b, z, width, 2), "hyper_analysis.3")
    z = conv(b, z, "hyper_analysis.4", group=width, pads=[1, 1, 1, 1])
    z = b.op("LeakyRelu", z, alpha=0.1)
    z = b.op("LeakyRelu", conv(b, z, "hyper_analysis.6"), alpha=0.1)
    z = conv(b, unshuffle(b, z, width, 2), "hyper_analysis.9")
    b.output("z", z, FLOAT, ["batch", config["hyper"], "hyper_rows", "hyper_columns"])


def build_synthesis(b: GraphBuilder, config: Mapping[str, Any]) -> None:
    """Build the synthesis, with the inverse gain: decoded integers to pixels.

    `image` is about 0 to 1 and not clamped; `pixels` are its levels.
    """
    latents = b.input("latents", INT16, ["batch", config["latent"], "rows", "columns"])
    quality = b.input("quality", FLOAT, ["batch", "quality_rows", "quality_columns"])
    y = b.op("Mul", b.op("Mul", b.cast(latents, FLOAT), b.constant(1 / 16)), gain(b, "inverse_gain", quality))
    y = affine(b, y, "synthesis.affine16", quality)
    for number in range(config["synthesis16"]):
        y = gated_block(b, y, f"synthesis.blocks16.{number}")
    y = b.op("DepthToSpace", conv(b, y, "synthesis.project"), blocksize=2, mode="CRD")
    # A map is for positions twice as far apart as those of the features; one quality for all stays one.
    sides = b.op("Concat", *b.dims(quality, 1, 2), axis=0)
    single = b.op("Equal", b.op("ReduceProd", sides, keepdims=1), b.sizes(1))
    finer = b.op("Where", single, b.constant([1.0, 1.0]), b.constant([2.0, 2.0]))
    scales = b.op("Concat", b.constant([1.0, 1.0]), finer, axis=0)
    wide = b.op("Unsqueeze", quality, b.sizes(1))
    wide = b.op(
        "Resize", wide, "", scales, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"
    )
    y = affine(b, y, "synthesis.affine8", b.op("Squeeze", wide, b.sizes(1)))
    for number in range(config["synthesis8"]):
        y = gated_block(b, y, f"synthesis.blocks8.{number}")
    y = b.op("DepthToSpace", y, blocksize=8, mode="CRD")
    y = b.op("Mul", b.op("Add", y, b.constant(1.0)), b.constant(0.5))
    b.output("image", y, FLOAT, ["batch", 3, "height", "width"])
    b.output("pixels", _levels(b, y), UINT8, ["batch", "height", "width", 3])


def _levels(b: GraphBuilder, x: str) -> str:
    """Return planes of about 0 to 1 as levels [B, h, w, C] uint8."""
    levels = b.op("Round", b.op("Mul", b.op("Clip", x, b.constant(0.0), b.constant(1.0)), b.constant(255.0)))
    return b.op("Transpose", b.cast(levels, UINT8), perm=[0, 2, 3, 1])


def build_small_synthesis(b: GraphBuilder, config: Mapping[str, Any]) -> None:
    """Build a small synthesis: the first channels of decoded integers to reduced images.

    For each factor F, `pixelsF` are levels. A run makes those that it is asked for alone.
    """
    latents = b.input("latents", INT16, ["batch", config["channels"], "rows", "columns"])
    quality = b.input("quality", FLOAT, ["batch", "quality_rows", "quality_columns"])
    y = b.op("Mul", b.op("Mul", b.cast(latents, FLOAT), b.constant(1 / 16)), gain(b, "inverse_gain", quality))
    y = affine(b, y, "affine", quality)
    y = conv(b, b.op("Pad", y, b.sizes(0, 0, 1, 1, 0, 0, 1, 1), mode="edge"), "gather")
    for number in range(config["blocks"]):
        y = gated_block(b, y, f"blocks.{number}")
    for factor in config["factors"]:
        x = b.op("DepthToSpace", conv(b, y, f"heads.{factor}"), blocksize=LATENT_STEP // factor, mode="CRD")
        x = b.op("Mul", b.op("Add", x, b.constant(1.0)), b.constant(0.5))
        b.output(f"pixels{factor}", _levels(b, x), UINT8, ["batch", f"height{factor}", f"width{factor}", 3])
