"""The finder's networks: weights and ONNX graphs in `weights`, where LICENSES.md says whose they are."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from safetensors.numpy import load as parse

from tacit import files
from tacit.engine.sessions import Sessions
from tacit.pretrained.catalogue import EFFICIENTNET_LITE0
from tacit.pretrained.loading import locate
from tacit.pretrained.torch_files import read_tensors

FOLDER = Path(__file__).with_name("weights")
GRAPH = "graph."  # before the names of graphs among the tensors
MADE_FOR = "tacit.finding"  # what the graphs name as the weights that they are made for
SHA256 = {
    "detector": "1ecceacd6dbcce16cf4033523b5c8f9ac3c7437db0142e11a7032a6351a5deb3",
    "classes": "c42a0b70723955023b909a82e46302a2b4a8455d3c7738f9e9e45c43d9005b3f",
    "faces": "43e31312294c30789ffc047f8751a473b2a437713cf2cda6fca3b6cee672fa6e",
}


CLASSES = "classes"  # the network whose weights the extra `find` installs


@lru_cache
def network(name: str) -> Sessions:
    """Return a network that is ready to run; it is kept.

    Raises:
        CorruptWeights: A file is missing or altered.
        MissingWeights: It is that of the classes, and the extra `find` is not installed.
    """
    path = FOLDER / f"{name}.safetensors"
    tensors = parse(files.verified(path, SHA256[name]))
    graphs = {key.removeprefix(GRAPH): tensors.pop(key).tobytes() for key in list(tensors) if key.startswith(GRAPH)}
    if name == CLASSES:
        tensors = read_tensors(locate(EFFICIENTNET_LITE0).read_bytes())
    return Sessions(graphs, tensors, MADE_FOR, None, path)
