"""The part of a weights file that decoding needs."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.numpy import load_file, save

from tacit.errors import CorruptWeights
from tacit.weights.metadata import DECODING_PARTS, contents_hash, read_metadata

GRAPHS = ("graphs.hyper", "graphs.synthesis", "graphs.anchor.", "graphs.other.")
ENCODING_GRAPHS = ("graphs.hyper_analysis",)


def decoding_part(path: Path) -> bytes:
    """Return a weights file with the same name in `.tacit` files, that can only decode.

    Args:
        path: The whole file.

    Raises:
        CorruptWeights: The file is damaged, or has no graphs.
    """
    about = read_metadata(path)
    tensors = {
        name: values
        for name, values in load_file(path).items()
        if name.startswith((*DECODING_PARTS, *GRAPHS)) and name not in ENCODING_GRAPHS
    }
    if "graphs.synthesis" not in tensors:
        raise CorruptWeights(f"{path}: it has no graphs; tacit.weights.add_graphs adds them")
    about["contents_hash"] = contents_hash(about, tensors)
    return save(tensors, {"tacit": json.dumps(about, sort_keys=True)})
