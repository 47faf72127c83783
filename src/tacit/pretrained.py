"""Networks that others have published: which file, where it comes from, and where it is on this machine.

None of these come with the package and none are fetched by it. A file is looked for at the path that the caller gives,
else by its name in the folder `pretrained` of $TACIT_WEIGHTS (or of tacit's folder of weights), in torch hub's cache
and in installed packages that carry it. Whatever is found is verified: a number that is called LPIPS is that of the
published network or is not given.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tacit import weights
from tacit.errors import CorruptWeights, MissingWeights, PathError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pretrained:
    """what: the network, in words; file: its name; source: where it can be had; size in bytes; carriers: packages that
    have it, each as (package, path in it)."""

    what: str
    file: str
    source: str
    size: int
    sha256: str
    carriers: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """Which file it is, for whoever compares numbers that were made with it."""
        return f"{self.file} (sha256 {self.sha256[:16]})"


def folder() -> Path:
    """Where these files may be put: beside the models' own weights, not among them."""
    return weights.folder() / "pretrained"


def locate(pretrained: Pretrained, path: str | os.PathLike[str] | None = None) -> Path:
    """The verified file: `path` itself if that is given.

    Raises:
        MissingWeights: it is nowhere; the message says which file is wanted, and its source, size and sha256.
        CorruptWeights: what is there is another file.
    """
    for candidate in (Path(path),) if path is not None else _candidates(pretrained):
        if candidate.is_file():
            _verify(pretrained, candidate)
            return candidate
    where = f"not at {path}" if path is not None else f"put it into {folder()}, or give its path"
    raise MissingWeights(
        f"{pretrained.what} needs {pretrained.file} ({pretrained.size:,} bytes, sha256 {pretrained.sha256}) "
        f"from {pretrained.source}: {where}"
    )


def load(pretrained: Pretrained, path: str | os.PathLike[str] | None = None) -> dict[str, Tensor]:
    """The tensors of the verified file, on the CPU.

    Raises:
        MissingWeights: as `locate`.
        CorruptWeights: as `locate`.
    """
    found = locate(pretrained, path)
    import torch
    from safetensors.torch import load_file

    # Its hash was right: what is in it needs no further checks.
    if found.suffix == ".safetensors":
        return load_file(found)
    tensors: dict[str, Tensor] = torch.load(found, map_location="cpu", weights_only=True)
    return tensors


def _candidates(pretrained: Pretrained) -> Iterator[Path]:
    yield folder() / pretrained.file
    import torch

    yield Path(torch.hub.get_dir()) / "checkpoints" / pretrained.file
    for package, inside in pretrained.carriers:
        # Found without being imported: these packages want others that need not be here.
        spec = importlib.util.find_spec(package)
        for home in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(home) / inside


def _verify(pretrained: Pretrained, path: Path) -> None:
    try:
        stat = path.stat()
        digest = _sha256(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    if digest != pretrained.sha256:
        raise CorruptWeights(
            f"{path}: {stat.st_size:,} bytes, sha256 {digest[:16]}; {pretrained.what} needs {pretrained.file} with "
            f"{pretrained.size:,} bytes, sha256 {pretrained.sha256[:16]}, from {pretrained.source}"
        )


@lru_cache(maxsize=32)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
