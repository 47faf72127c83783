"""Finding, verifying and reading the published files of the catalogue.

A file is looked for at the path that the caller names, else by its name in the folder `pretrained` inside tacit's
folder of weights, in installed packages that contain it, and in torch hub's cache. Its hash is verified wherever it was
found: a number that is called LPIPS is computed with the published network, or not at all.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tacit import files, folders
from tacit.errors import CorruptWeights, MissingWeights, PathError
from tacit.pretrained.catalogue import PretrainedFile

if TYPE_CHECKING:
    from torch import Tensor


def folder() -> Path:
    """Return the folder to put these files into: beside the models' own weights, not among them."""
    return folders.weights_folder() / "pretrained"


def locate(entry: PretrainedFile, path: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of a verified file.

    Args:
        entry: The file that is wanted.
        path: Where it is, or None to look in the usual places.

    Raises:
        MissingWeights: The file is nowhere; the message names the file, its source, its size and its hash.
        CorruptWeights: Another file is in its place.
        PathError: The file cannot be read.
    """
    for candidate in (Path(path),) if path is not None else _candidates(entry):
        if candidate.is_file():
            _verify(entry, candidate)
            return candidate
    where = f"not at {path}" if path is not None else f"put it into {folder()}, or give its path"
    raise MissingWeights(
        f"{entry.network} needs {entry.file} ({entry.size:,} bytes, sha256 {entry.sha256}) from {entry.source}: {where}"
    )


def load(entry: PretrainedFile, path: str | os.PathLike[str] | None = None) -> dict[str, Tensor]:
    """Return the tensors of a verified file, on the CPU.

    Args:
        entry: The file that is wanted.
        path: Where it is, or None to look in the usual places.

    Raises:
        MissingWeights: The file is nowhere; the message names the file, its source, its size and its hash.
        CorruptWeights: Another file is in its place.
        PathError: The file cannot be read.
    """
    verified = locate(entry, path)
    import torch
    from safetensors.torch import load_file

    # Its hash was right, so its content needs no further checks.
    if verified.suffix == ".safetensors":
        return load_file(verified)
    tensors: dict[str, Tensor] = torch.load(verified, map_location="cpu", weights_only=True)
    return tensors


def _candidates(entry: PretrainedFile) -> Iterator[Path]:
    yield folder() / entry.file
    for package, inside in entry.carriers:
        # Found without importing it: these packages import others that need not be installed.
        spec = importlib.util.find_spec(package)
        for home in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(home) / inside
    try:
        import torch
    except ImportError:  # without it there is no such cache
        return
    yield Path(torch.hub.get_dir()) / "checkpoints" / entry.file


def _verify(entry: PretrainedFile, path: Path) -> None:
    try:
        stat = path.stat()
        digest = _sha256(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    if digest != entry.sha256:
        raise CorruptWeights(
            f"{path}: {stat.st_size:,} bytes, sha256 {digest[:16]}; {entry.network} needs {entry.file} with "
            f"{entry.size:,} bytes, sha256 {entry.sha256[:16]}, from {entry.source}"
        )


@lru_cache(maxsize=32)
def _sha256(path: Path, _size: int, _modified: int) -> str:
    return files.sha256(path)
