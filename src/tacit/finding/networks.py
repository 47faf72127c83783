"""The finder's networks: weights and ONNX graphs in `weights`, where LICENSES.md says whose they are."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from safetensors.numpy import load as parse

from tacit import files
from tacit.engine.sessions import Sessions

FOLDER = Path(__file__).with_name("weights")
GRAPH = "graph."  # before the names of graphs among the tensors
MADE_FOR = "tacit.finding"  # what the graphs name as the weights that they are made for
SHA256 = {
    "detector": "09f312ff2fc922e2e03bf8dfebaa704f56fff2444b7f5f71a50c63a79d38aa30",
    "faces": "a5eb55a135346dec284e2e3294b3625c03d7db55cb7e1c8110d3606b8f3e2535",
}


@lru_cache
def network(name: str) -> Sessions:
    """Return a network that is ready to run; it is kept.

    Raises:
        CorruptWeights: The file is missing or altered.
    """
    tensors = parse(files.verified(FOLDER / f"{name}.safetensors", SHA256[name]))
    graphs = {key.removeprefix(GRAPH): tensors.pop(key).tobytes() for key in list(tensors) if key.startswith(GRAPH)}
    return Sessions(graphs, tensors, MADE_FOR, None)
