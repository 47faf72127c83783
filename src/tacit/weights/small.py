"""Files of small syntheses, which make thumbnails: each stands beside the weights that it belongs to.

Such a file is safetensors, as weights files are. It is in the folder `small` beside the weights file, and named by the
hash that `.tacit` files name their weights by. It holds the tensors of the network, its graph, its configuration and a
training card.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from tacit import files
from tacit.engine.schedule import LatentCoding
from tacit.engine.sessions import Sessions
from tacit.engine.small_model import GRAPH, SmallModel
from tacit.errors import CorruptWeights, PathError
from tacit.graphs.export import PREFIX, make_small_synthesis
from tacit.weights.metadata import FORMAT, checked_config, contents_hash, read_metadata

ARCHITECTURE = "small-synthesis"
FACTORS = {2, 4, 8}


def small_path(path: Path, decode_hash: str) -> Path:
    """Return where the small synthesis of a weights file is, whether or not it is there."""
    return path.parent / "small" / f"{decode_hash[:16]}.safetensors"


def save_small(
    path: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    decode_hash: str,
    card: Mapping[str, Any],
) -> None:
    """Write the file of a small synthesis, whole or not at all.

    Args:
        path: The file.
        config: The configuration of the network.
        tensors: Its tensors, in the types that they are stored in.
        decode_hash: The hash of the weights that it belongs to, in hexadecimal.
        card: Its training card: data and their terms, steps, figures, command.

    Raises:
        PathError: The file cannot be written.
        MissingExtra: The package `onnx` is not installed.
    """
    graph = np.frombuffer(make_small_synthesis(config, tensors, decode_hash), np.uint8).copy()
    stored = {**tensors, f"{PREFIX}{GRAPH}": graph}
    about = {
        "format": FORMAT,
        "architecture": ARCHITECTURE,
        "config": json.loads(json.dumps(dict(config))),
        "decode_hash": decode_hash,
        "card": dict(card),
    }
    about["contents_hash"] = contents_hash(about, stored)
    data = serialise(stored, metadata={"tacit": json.dumps(about, sort_keys=True)})
    files.write(os.path.abspath(path), data, force=True)


def load_small(path: Path, decode_hash: str, coding: LatentCoding, *, threads: int | None = None) -> SmallModel:
    """Read the file of a small synthesis, verify it, and return what decodes reduced images with it.

    Args:
        path: The file.
        decode_hash: The hash of the weights, in hexadecimal.
        coding: Decodes the weights' latents.
        threads: Threads of ONNX Runtime's work; None for one for each core.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file does not verify, or does not fit the weights.
    """
    about = read_metadata(path)
    try:
        tensors: dict[str, np.ndarray] = parse(path.read_bytes())
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    except (SafetensorError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: {error}") from error
    try:
        expected = {
            "architecture": (about["architecture"], ARCHITECTURE),
            "contents hash": (contents_hash(about, tensors), about["contents_hash"]),
            "decode hash": (about["decode_hash"], decode_hash),
        }
        for name, (found, wanted) in expected.items():
            if found != wanted:
                raise CorruptWeights(f"{path}: {name} must be {wanted}, got {found}")
        config = checked_config(about["config"])
        taken = sum(coding.groups[: config["groups"]])
        if not config["groups"] or config["channels"] != taken:
            raise ValueError(f"channels must be the {taken} of {config['groups']} groups, got {config['channels']}")
        if not config["factors"] or not FACTORS.issuperset(config["factors"]):
            raise ValueError(f"factors must be among {sorted(FACTORS)}, got {list(config['factors'])}")
        graph = tensors.pop(f"{PREFIX}{GRAPH}").tobytes()
    except (LookupError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: metadata are not those of a small synthesis ({error})") from error
    return SmallModel(config, coding, Sessions({GRAPH: graph}, tensors, decode_hash, threads, path))
