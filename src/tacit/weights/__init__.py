"""Weights files: finding, describing, loading and saving them.

A weights file is safetensors. Its metadata hold the architecture, its configuration and the shapes of the frozen
networks (so that loading needs no other file), the training card, and the hash of what decoding needs. Its tensors are
`analysis.*`, `synthesis.*`, `hyper_analysis.*`, `gain.*`, `inverse_gain.*` (float), `entropy.*` (integers), and
`graphs.*` (ONNX graphs of what runs, which take the other tensors as their weights).

Finding and describing need no torch. What does is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tacit.weights.catalogue import (
    DEFAULT,
    SHIPPED,
    WeightsInfo,
    available_models,
    by_hash,
    card,
    describe,
    for_file,
    locate,
)

if TYPE_CHECKING:
    from tacit.weights.downloads import download
    from tacit.weights.graphs import add_graphs, load_onnx
    from tacit.weights.importing import import_taco
    from tacit.weights.loading import load
    from tacit.weights.model_card import model_card
    from tacit.weights.saving import save

_HOMES = {
    "add_graphs": "tacit.weights.graphs",
    "download": "tacit.weights.downloads",
    "import_taco": "tacit.weights.importing",
    "model_card": "tacit.weights.model_card",
    "load": "tacit.weights.loading",
    "load_onnx": "tacit.weights.graphs",
    "save": "tacit.weights.saving",
}

__all__ = [
    "DEFAULT",
    "SHIPPED",
    "WeightsInfo",
    "add_graphs",
    "available_models",
    "by_hash",
    "card",
    "describe",
    "download",
    "for_file",
    "import_taco",
    "load",
    "load_onnx",
    "locate",
    "model_card",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tacit.weights' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
