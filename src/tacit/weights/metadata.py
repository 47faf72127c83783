"""The metadata of weights files: reading them without torch, and the two hashes among them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.architectures import ARCHITECTURES
from tacit.errors import CorruptWeights, PathError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

FORMAT = 1
GRAPHS = "graphs."  # begins the names of graphs among the tensors
MAX_HEADER = 16 << 20  # bytes of a safetensors header

_LARGEST = 4096  # of a configuration's numbers: bounds what a few bytes of it can make a reader build

# A change of any of these tensors is a change of what old files decode to.
DECODING_PARTS = ("entropy.", "synthesis.", "inverse_gain.")

_KEYS = {"format", "architecture", "config", "entropy", "card", "decode_hash", "contents_hash"}


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a weights file; the values are not checked.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file is no weights file of tacit, or one of another format.
    """
    return read_header(path)[0]


def read_header(path: Path) -> tuple[dict[str, Any], Collection[str]]:
    """Read the metadata of a weights file and the names of its tensors; the values are not checked.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file is no weights file of tacit, or one of another format.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= MAX_HEADER:
                raise CorruptWeights(f"{path}: not a safetensors file")
            header = json.loads(stream.read(length))
        about = json.loads(header["__metadata__"]["tacit"])
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptWeights(f"{path}: not a weights file of tacit") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise CorruptWeights(f"{path}: the format of the weights must be {FORMAT}; a newer tacit may read others")
    if not about.keys() <= _KEYS:
        raise CorruptWeights(f"{path}: unknown metadata {', '.join(map(repr, sorted(about.keys() - _KEYS)))}")
    return about, header.keys() - {"__metadata__"}


def decode_hash(about: Mapping[str, Any], tensors: Mapping[str, Tensor | np.ndarray]) -> str:
    """Return the hash by which files name their weights.

    It is the sha256, in hexadecimal, of what decoding needs: the architecture, its part of the configuration, the
    shapes of the frozen networks, and tensors.

    Args:
        about: Metadata; neither hash needs to be among them.
        tensors: All tensors of the file.
    """
    config = {name: about["config"][name] for name in ARCHITECTURES[about["architecture"]].decoding_fields}
    decoding = {"architecture": about["architecture"], "config": config, "entropy": about["entropy"]}
    return _digest(decoding, {name: v for name, v in tensors.items() if name.startswith(DECODING_PARTS)})


def contents_hash(about: Mapping[str, Any], tensors: Mapping[str, Tensor | np.ndarray]) -> str:
    """Return the sha256, in hexadecimal, of the whole file but this hash.

    It shows damage to what only encoding needs, which the decode hash leaves out.

    Args:
        about: Metadata; the contents hash is ignored if it is among them.
        tensors: All tensors of the file.
    """
    return _digest({name: value for name, value in about.items() if name != "contents_hash"}, tensors)


def _digest(values: Mapping[str, Any], tensors: Mapping[str, Tensor | np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        tensor: Any = tensors[name]
        kind = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"\n{name} torch.{kind} {list(tensor.shape)}\n".encode())
        digest.update((tensor.contiguous().numpy() if hasattr(tensor, "contiguous") else tensor).tobytes())
    return digest.hexdigest()


def checked_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a stored configuration, lists as tuples.

    Raises:
        ValueError: A number is one that no model has.
    """
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    for name, value in values.items():
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, str) and not 0 <= number <= _LARGEST:
                raise ValueError(f"{name} must be 0 to {_LARGEST}, got {number}")
    return values
