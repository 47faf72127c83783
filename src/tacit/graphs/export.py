"""Making the graphs of a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tacit.graphs.builder import GraphBuilder
from tacit.graphs.entropy import EntropyGraphs
from tacit.graphs.transforms import build_analysis, build_hyper_analysis, build_small_synthesis, build_synthesis

PREFIX = "graphs."  # of the names of graphs among the tensors of a weights file


def can_have_graphs(architecture: str, config: Mapping[str, Any]) -> bool:
    """Return whether models with this configuration can be made graphs; others run on torch alone."""
    return architecture == "tacit-s" and config.get("attention") == "full" and bool(config.get("knots"))


def make_graphs(
    config: Mapping[str, Any], entropy: Mapping[str, Any], tensors: Mapping[str, np.ndarray], decode_hash: str
) -> dict[str, bytes]:
    """Return the graphs of a model, by name.

    Args:
        config: The configuration of the model.
        entropy: The shapes of the frozen networks, as the weights file's metadata have them.
        tensors: All tensors of the weights file.
        decode_hash: What the graphs say of the weights that they fit.

    Raises:
        MissingExtra: The package `onnx` is not installed.
        InvalidInput: The model cannot be made graphs.
    """
    nets = EntropyGraphs(entropy, tensors)
    builders = {
        "analysis": lambda b: build_analysis(b, config),
        "hyper_analysis": lambda b: build_hyper_analysis(b, config),
        "synthesis": lambda b: build_synthesis(b, config),
        "hyper": nets.build_hyper,
    }
    graphs: dict[str, bytes] = {}

    def make(name: str, build: Any) -> None:
        builder = GraphBuilder(name, tensors)
        build(builder)
        graphs[name] = builder.serialise({"decode_hash": decode_hash})

    for name, build in builders.items():
        make(name, build)
    for group in range(len(nets.groups)):
        make(f"anchor.{group}", lambda b, group=group: nets.build_anchor(b, group))
        make(f"other.{group}", lambda b, group=group: nets.build_other(b, group))
    return graphs


def make_small_synthesis(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], decode_hash: str) -> bytes:
    """Return the graph of a small synthesis.

    Args:
        config: Its configuration.
        tensors: Its tensors.
        decode_hash: What the graph says of the weights that it fits.

    Raises:
        MissingExtra: The package `onnx` is not installed.
    """
    builder = GraphBuilder("small_synthesis", tensors)
    build_small_synthesis(builder, config)
    return builder.serialise({"decode_hash": decode_hash})
