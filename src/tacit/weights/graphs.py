"""The graphs in a weights file: adding them to a file, and loading a file to run them; without torch."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from tacit import files
from tacit.architectures import ARCHITECTURES
from tacit.engine.checking import check_entropy, check_transforms
from tacit.engine.onnx_model import OnnxModel
from tacit.engine.sessions import Sessions
from tacit.errors import CorruptWeights, InvalidInput
from tacit.graphs.export import PREFIX, can_have_graphs, make_graphs
from tacit.weights.catalogue import shipped_path
from tacit.weights.contents import Contents, read_contents
from tacit.weights.metadata import checked_config, contents_hash, decode_hash, read_metadata
from tacit.weights.small import load_small, small_path

# The types of safetensors that weights of this package have.
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}


def graphs_of(about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the graphs of a model as tensors of its weights file; none where the model cannot be made graphs.

    Args:
        about: The metadata of the weights file, with the decode hash.
        tensors: All its tensors but graphs.

    Raises:
        MissingExtra: The package `onnx` is not installed.
    """
    if not can_have_graphs(about["architecture"], about["config"]):
        return {}
    graphs = make_graphs(about["config"], about["entropy"], tensors, about["decode_hash"])
    return {f"{PREFIX}{name}": np.frombuffer(graph, np.uint8).copy() for name, graph in graphs.items()}


def add_graphs(path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Write a weights file with graphs, made again if it has some. Files that name the weights stay readable.

    Args:
        path: The weights file.
        out: The file to write; None to replace the weights file.

    Raises:
        PathError: A file cannot be read or written.
        CorruptWeights: The file does not verify.
        InvalidInput: The model cannot be made graphs.
        MissingExtra: The package `onnx` is not installed.
    """
    path = Path(path)
    about, tensors = _verified(path)
    tensors = {name: array for name, array in tensors.items() if not name.startswith(PREFIX)}
    graphs = graphs_of(about, tensors)
    if not graphs:
        raise InvalidInput(f"{path}: models must be tacit-s with full attention to have graphs")
    tensors |= graphs
    about["contents_hash"] = contents_hash(about, tensors)
    target = path if out is None else Path(out)
    data = serialise(tensors, metadata={"tacit": json.dumps(about, sort_keys=True)})
    files.write(os.path.abspath(target), data, force=True)
    return target


def load_onnx(path: Path, threads: int | None = None, *, read: Callable[[Path], Contents] = read_contents) -> OnnxModel:
    """Read a weights file, verify it, and return the model that runs its graphs.

    Args:
        path: The weights file.
        threads: Threads of ONNX Runtime's work; None for one for each core.
        read: What reads the file.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file does not verify, or has no graphs.
        InvalidInput: The installed ONNX Runtime is too old.
    """
    about, tensors = _verified(path, read)
    graphs = {n.removeprefix(PREFIX): a.tobytes() for n, a in tensors.items() if n.startswith(PREFIX)}
    if not graphs:
        raise CorruptWeights(f"{path}: no graphs, which the engine onnx runs; tacit.weights.add_graphs(FILE) adds them")
    tensors = {name: array for name, array in tensors.items() if not name.startswith(PREFIX)}
    if path != shipped_path(path.stem):  # whose sha256 says that they are as they were when they were made
        try:
            row = ARCHITECTURES[about["architecture"]]
            config = row.config_class()(**checked_config(about["config"]))
            check_transforms(config, tensors)
            check_entropy(about["entropy"], tensors, config.groups, config.hyper)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise CorruptWeights(f"{path}: parts do not belong together: {reason}") from error
    sessions = Sessions(graphs, tensors, about["decode_hash"], threads, path)
    beside = small_path(path, about["decode_hash"])
    small = partial(load_small, beside, about["decode_hash"], threads=threads) if beside.is_file() else None
    return OnnxModel(about["config"], about["entropy"], tensors, sessions, small)


def _verified(
    path: Path, read: Callable[[Path], Contents] = read_contents
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the metadata and the tensors of a weights file.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file does not verify.
    """
    about = read_metadata(path)
    contents = read(path)
    if contents.sha256 is not None:  # which says all that the other hashes do, and that the file is well formed
        _expect(path, "sha256", *contents.sha256)
        return about, _views(contents.data)
    try:
        tensors: dict[str, np.ndarray] = parse(contents.data)
    except (SafetensorError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: {error}") from error
    try:
        expected = {
            "decode hash": (decode_hash(about, tensors), about["decode_hash"]),
            "contents hash": (contents_hash(about, tensors), about["contents_hash"]),
        }
    except (LookupError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: metadata are not those of tacit weights ({error})") from error
    for name, (computed, stored) in expected.items():
        _expect(path, name, computed, stored)
    return about, tensors


def _expect(path: Path, name: str, computed: str, stored: str | None) -> None:
    if computed != stored:
        raise CorruptWeights(f"{path}: {name} must be {stored}, got {computed}")


def _views(data: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of a well-formed safetensors file where they are; `parse` would copy them."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    views = {}
    for name, about in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in about["data_offsets"])
            views[name] = np.frombuffer(memoryview(data)[begin:end], _TYPES[about["dtype"]]).reshape(about["shape"])
    return views
