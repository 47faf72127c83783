"""The catalogue of weights: which there are on this machine, where their files are, and what they say; no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tacit.architectures import ARCHITECTURES
from tacit.errors import CorruptWeights, MissingWeights, PathError, UnknownModel
from tacit.folders import weights_folder
from tacit.weights.metadata import GRAPHS, read_header

DEFAULT = "tacit-s"

FOLDER = Path(__file__).resolve().parent
"""Where the package has its weights."""

SHIPPED: dict[str, str] = {
    "tacit-s": "b9810ec05aedd574a37a62c707334e0085a9b7f82d4ee0429efa836227845721",
    "tacit-s-mse": "08dde681671ecb83b5d9cb90a1f03daa637c755b09cb7aead52c07585412f28c",
}
"""Names of the weights in the package, each with the sha256 of its file.

Released weights stay loadable by name (see CHANGELOG).
"""


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """What a weights file says about itself."""

    name: str
    """The name of the file, without its ending."""
    path: Path
    """The file."""
    architecture: str
    """The name of the architecture; a newer tacit may know more of them."""
    decode_hash: bytes
    """The 8 bytes by which every file made with these weights names them."""
    variable_rate: bool
    """Whether files can have a quality."""
    size: int
    """The bytes of the weights file."""
    graphs: bool
    """Whether the file has graphs, which the engine onnx runs."""
    card: Mapping[str, Any]
    """The training card: data and their terms, steps, hardware, figures, command."""

    @property
    def quality_maps(self) -> bool:
        """Whether the quality may vary over an image; False for an unknown architecture."""
        row = ARCHITECTURES.get(self.architecture)
        return row is not None and row.quality_maps


def shipped_path(name: str) -> Path:
    """Return where the package has the weights of this name, whether or not they are there."""
    return FOLDER / f"{name}.safetensors"


def available_models() -> tuple[str, ...]:
    """Return the names of the weights on this machine, the default first."""
    return tuple(name for name, _ in _paths())


def locate(model: str | os.PathLike[str]) -> Path:
    """Return the path of weights given by name or by path.

    Raises:
        UnknownModel: The model is neither a known name nor a file.
        MissingWeights: The weights come with the package but are not in it, or the name is that of an architecture
            without weights in the package.
        PathError: There is no such weights file, or the system refuses the path.
    """
    for name, path in _paths():
        if name == model:
            if not path.exists():
                raise MissingWeights(
                    f"{path}: this installation of tacit lacks the weights of {name}; reinstall it, "
                    f"put the file there, download it (tacit models --download {name}), or name other weights "
                    "(--model FILE)",
                    f"the weights of {name} are not here",
                )
            return path
    path = Path(model)
    try:
        is_file = path.is_file()
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    if is_file:
        return path
    if path.suffix == ".safetensors":
        raise PathError(f"{path}: no such weights file")
    row = ARCHITECTURES.get(str(model))
    if row is not None and row.weights_source:
        raise MissingWeights(f"{model} has no weights in the package: {row.weights_source}")
    names = "".join(f"{name}, " for name in available_models())
    raise UnknownModel(f"model must be one of {names}or a weights file, got {str(model)!r}")


def describe(path: Path) -> WeightsInfo:
    """Read what a weights file says about itself.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file is no weights file of tacit.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    return _describe(path, stat.st_size, stat.st_mtime_ns)


def card(model: str | os.PathLike[str] = DEFAULT) -> Mapping[str, Any]:
    """Return the training card of weights: data and their terms, steps, hardware, figures, command.

    Raises:
        UnknownModel: The model is neither a known name nor a file.
        MissingWeights: The weights of this name are not on this machine.
        PathError: There is no such weights file, or it cannot be read.
        CorruptWeights: The file is no weights file of tacit.
    """
    return describe(locate(model)).card


def by_hash(decode_hash: bytes) -> WeightsInfo | None:
    """Return the weights on this machine that decode files with this hash, or None."""
    for _, path in _paths():
        try:
            about = describe(path)
        except (CorruptWeights, PathError):
            continue  # somebody's broken file in the folder is not this file's fault
        if about.decode_hash == decode_hash:
            return about
    return None


def for_file(decode_hash: bytes, model_id: int) -> WeightsInfo:
    """Return the weights that decode a file, by its header's hash and model id.

    Raises:
        MissingWeights: None of the weights on this machine decode it.
    """
    about = by_hash(decode_hash)
    if about is None:
        missing = f"this file needs weights {decode_hash.hex()} (model id {model_id}), which are not"
        raise MissingWeights(
            f"{missing} on this machine; put their .safetensors file into {weights_folder()} or name it as the model",
            f"{missing} here",
        )
    return about


def _paths() -> Iterator[tuple[str, Path]]:
    """Yield names and paths: the package's weights, there or not, then those in the folder.

    Where the package lacks one of its own, the folder may have it (`tacit.weights.downloads`).
    """
    own = weights_folder()
    for name in SHIPPED:
        path, downloaded = shipped_path(name), own / f"{name}.safetensors"
        yield name, downloaded if not path.exists() and downloaded.is_file() else path
    if own.is_dir():
        for path in sorted(own.glob("*.safetensors")):
            if path.stem not in SHIPPED:
                yield path.stem, path


@lru_cache(maxsize=64)
def _describe(path: Path, size: int, _changed: int) -> WeightsInfo:
    about, names = read_header(path)
    try:
        decode_hash = bytes.fromhex(about["decode_hash"])
        if len(decode_hash) != 32:
            raise ValueError(f"decode_hash must have 32 bytes, got {len(decode_hash)}")
        variable_rate = about["config"]["knots"] > 0
        if not isinstance(about["card"], dict):
            raise TypeError(f"card must be an object, got {type(about['card']).__name__}")
        return WeightsInfo(
            name=path.stem,
            path=path,
            architecture=str(about["architecture"]),
            decode_hash=decode_hash[:8],
            variable_rate=variable_rate,
            size=size,
            graphs=any(name.startswith(GRAPHS) for name in names),
            card=about["card"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: metadata are not those of tacit weights ({error})") from error
