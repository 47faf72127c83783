"""Weights files with other contents."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from tacit.weights.metadata import contents_hash, decode_hash, read_metadata


def forged(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None], out: Path) -> Path:
    """A weights file with other contents whose hashes are right, as only someone who wants to would write."""
    about = copy.deepcopy(read_metadata(path))
    tensors = load_file(path)
    change(about, tensors)
    tensors = {k: v.contiguous() for k, v in tensors.items()}
    for name, digest in (("decode_hash", decode_hash), ("contents_hash", contents_hash)):
        about.pop("contents_hash", None)
        with contextlib.suppress(KeyError, TypeError):  # no hash can be made of what has been left out
            about[name] = digest(about, tensors)
    save_file(tensors, out, metadata={"tacit": json.dumps(about)})
    return out
