"""Saving a float model and its frozen entropy model as a weights file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise
from torch import Tensor

from tacit import files
from tacit.architectures import architecture_of
from tacit.models.float_model import FloatModel
from tacit.models.frozen import FrozenEntropy
from tacit.weights.graphs import graphs_of
from tacit.weights.metadata import FORMAT, contents_hash, decode_hash


def save(path: Path, float_model: FloatModel, entropy: FrozenEntropy, training_card: Mapping[str, Any]) -> str:
    """Write a weights file, whole or not at all.

    Transforms are stored in half precision (some with no more digits than bf16 has, as the table of architectures
    says), gains in single precision, integers as they are.

    Returns:
        The decode hash, in hexadecimal.

    Raises:
        PathError: The file cannot be written.
        MissingExtra: The model can be made graphs, and the package `onnx` is not installed.
    """
    row = architecture_of(float_model)
    parts = entropy.parts()
    tensors: dict[str, Tensor] = {f"entropy.{k}": v.contiguous() for k, v in parts.tensors.items()}
    for name, value in float_model.state_dict().items():
        if not name.startswith(("entropy.", "prior.")):
            single = "gain" in name or name == "context_scale"
            if name.startswith(row.bf16_parts):
                value = value.bfloat16()
            tensors[name] = value.detach().cpu().to(torch.float32 if single else torch.float16).contiguous()
    about = {
        "format": FORMAT,
        "architecture": row.name,
        "config": json.loads(json.dumps(float_model.config.as_dict())),
        "entropy": parts.shapes,
        "card": dict(training_card),
    }
    about["decode_hash"] = decode_hash(about, tensors)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    graphs = graphs_of(about, arrays)
    tensors |= {name: torch.from_numpy(graph) for name, graph in graphs.items()}
    about["contents_hash"] = contents_hash(about, tensors)
    # Not safetensors' save_file: it makes files that only their owner can read. A path, even where it is called "-".
    data = serialise(tensors, metadata={"tacit": json.dumps(about, sort_keys=True)})
    files.write(os.path.abspath(path), data, force=True)
    return str(about["decode_hash"])
