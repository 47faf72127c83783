"""Weights by name: where they are, what they are, loading and verifying them.

A weights file is safetensors. Its metadata hold the architecture, its configuration and the shapes of the frozen
networks (so loading needs no other file), the training card, and the hash of what decoding needs. Tensors:
`analysis.*`, `synthesis.*`, `hyper_analysis.*`, `gain.*`, `inverse_gain.*` (float), `entropy.*` (integers).

Names and hashes are read without torch, so that `tacit info` and `tacit models` start at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit import files
from tacit.architectures import ARCHITECTURES, architecture_of
from tacit.errors import CorruptWeights, MissingWeights, NotExact, PathError, UnknownModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tacit.models.coding import CodingModel
    from tacit.models.frozen import FrozenEntropy

DEFAULT = "tacit-s"
FORMAT = 1
FOLDER_VARIABLE = "TACIT_WEIGHTS"
MAX_HEADER = 16 << 20  # bytes of a weights file's header

# What the package carries: name -> sha256 of the file. Released weights stay loadable by name (see CHANGELOG).
SHIPPED: dict[str, str] = {
    "tacit-s": "e441b668e5e651ccff8c832f23b0e1b25a5a82675cd950eae135b9bd83331c24",
    "tacit-s-mse": "55e7c5e47dc946d63f71cb3c3abdb22512ea16ac117af2495740c093ad528d14",
}

_KEYS = {"format", "architecture", "config", "entropy", "card", "decode_hash", "contents_hash"}
_LARGEST = 4096  # of a configuration's numbers: bounds what a few bytes of it can make a reader build
# What parts that do not belong together can raise on their way into a model.
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)

# Part of the decode hash: a change of any of these is a change of what old files decode to.
DECODING = ("entropy.", "synthesis.", "inverse_gain.")


@dataclass(frozen=True)
class WeightsInfo:
    """What a weights file says of itself. decode_hash: 8 bytes, in every file that it made."""

    name: str
    path: Path
    architecture: str
    decode_hash: bytes
    variable_rate: bool
    size: int
    card: Mapping[str, Any]

    @property
    def quality_maps(self) -> bool:
        """Whether the quality may vary over an image; False for an unknown architecture."""
        row = ARCHITECTURES.get(self.architecture)
        return row is not None and row.quality_maps


def folder() -> Path:
    """Where weights that did not come with the package are kept: $TACIT_WEIGHTS, else the user's data folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "tacit" / "weights"


def _shipped_path(name: str) -> Path:
    return Path(str(resources.files("tacit"))) / "weights" / f"{name}.safetensors"


def _paths() -> Iterator[tuple[str, Path]]:
    for name in SHIPPED:
        yield name, _shipped_path(name)
    found = folder()
    if found.is_dir():
        for path in sorted(found.glob("*.safetensors")):
            if path.stem not in SHIPPED:
                yield path.stem, path


def available_models() -> tuple[str, ...]:
    """Names of the weights on this machine, the default first."""
    return tuple(name for name, _ in _paths())


def locate(model: str | os.PathLike[str]) -> Path:
    """A name, or a path of a weights file -> its path.

    Raises:
        UnknownModel: neither a known name nor a file.
        MissingWeights: weights that come with the package are not in it; taco, which has none in the package.
    """
    for name, path in _paths():
        if name == model:
            if not path.exists():
                raise MissingWeights(
                    f"{path} is not there: this installation of tacit lacks the weights of {name}; reinstall it, "
                    "put the file there, or name other weights (--model FILE)"
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
    raise UnknownModel(f"model {str(model)!r} is not known; there are: {', '.join(available_models()) or 'none'}")


def describe(path: Path) -> WeightsInfo:
    """Read a weights file's header; no torch.

    Raises:
        CorruptWeights: not a weights file of tacit.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    return _describe(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _describe(path: Path, size: int, _changed: int) -> WeightsInfo:
    about = _metadata(path)
    try:
        decode_hash = bytes.fromhex(about["decode_hash"])
        if len(decode_hash) != 32:
            raise ValueError(f"decode hash of {len(decode_hash)} bytes, expected 32")
        variable = about["config"]["knots"] > 0
        if not isinstance(about["card"], dict):
            raise TypeError("the card is no object")
        return WeightsInfo(path.stem, path, str(about["architecture"]), decode_hash[:8], variable, size, about["card"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: metadata are not those of tacit weights ({error})") from error


def _metadata(path: Path) -> dict[str, Any]:
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
        raise CorruptWeights(f"{path}: weights of another format than {FORMAT}; a newer tacit may read them")
    if not about.keys() <= _KEYS:
        raise CorruptWeights(f"{path}: unknown metadata {', '.join(map(repr, sorted(about.keys() - _KEYS)))}")
    return about


def card(model: str | os.PathLike[str] = DEFAULT) -> Mapping[str, Any]:
    """The training card: data and their terms, steps, hardware, figures, command."""
    return describe(locate(model)).card


def by_hash(decode_hash: bytes) -> WeightsInfo | None:
    """The weights on this machine that decode files of this hash, if any; no torch."""
    for _, path in _paths():
        try:
            about = describe(path)
        except (CorruptWeights, PathError):
            continue  # somebody's broken file in the folder is not this file's fault
        if about.decode_hash == decode_hash:
            return about
    return None


def for_file(decode_hash: bytes, model_id: int) -> WeightsInfo:
    """The weights that decode a file.

    Raises:
        MissingWeights: none on this machine.
    """
    found = by_hash(decode_hash)
    if found is None:
        raise MissingWeights(
            f"this file needs weights {decode_hash.hex()} (model id {model_id}), which are not on this machine; "
            f"put their .safetensors file into {folder()} or name it as the model"
        )
    return found


def load(path: Path, device: torch.device | str = "cpu", precision: torch.dtype | None = None) -> CodingModel:
    """Read, verify and build.

    Raises:
        CorruptWeights: the file does not verify, or its parts do not belong together.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    from tacit.models.coding import CodingModel
    from tacit.models.frozen import EntropyParts, FrozenEntropy

    about = _metadata(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    if path == _shipped_path(path.stem):
        found = hashlib.sha256(data).hexdigest()
        if found != SHIPPED.get(path.stem):
            raise CorruptWeights(f"{path}: sha256 {found}, expected {SHIPPED.get(path.stem)}")
    try:
        tensors = parse(data)
    except (SafetensorError, *_UNFIT) as error:
        raise CorruptWeights(f"{path}: {error}") from error
    try:
        if (found := decode_hash(about, tensors)) != about["decode_hash"]:
            raise CorruptWeights(f"{path}: decode hash {found}, expected {about['decode_hash']}")
        if (found := contents_hash(about, tensors)) != about["contents_hash"]:
            raise CorruptWeights(f"{path}: contents hash {found}, expected {about['contents_hash']}")
        row = ARCHITECTURES[about["architecture"]]
        config = row.config_class()(**_sane(about["config"]))
        with _without_values():
            model = row.model_class()(config)
        model.entropy = model.prior = torch.nn.Identity()
        floats = {k: v.float() for k, v in tensors.items() if not k.startswith("entropy.")}
        model.load_state_dict(floats, strict=True, assign=True)
        integers = {k.removeprefix("entropy."): v for k, v in tensors.items() if k.startswith("entropy.")}
        entropy = FrozenEntropy.restore(EntropyParts(about["entropy"], integers))
        entropy.check(config.groups, model.hyper_analysis[-1].out_channels)
    except _UNFIT as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CorruptWeights(f"{path}: parts do not belong together: {reason}") from error
    return CodingModel(model, entropy, precision or torch.float32).to(device)


@contextmanager
def _without_values() -> Iterator[None]:
    """Modules are made without the random values that stored ones replace: memory that is never touched costs nothing.
    (torch's meta device would do, but it imports half a second's worth of torch.)"""
    from torch.overrides import TorchFunctionMode

    class Skip(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if getattr(func, "__module__", None) == "torch.nn.init" or getattr(func, "__name__", None) == "uniform_":
                return args[0] if args else kwargs["tensor"]
            return func(*args, **kwargs)

    with Skip():
        yield


def _sane(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration's values, lists as tuples. Raises: ValueError for numbers that no model has."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    for name, value in values.items():
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, str) and not 0 <= number <= _LARGEST:
                raise ValueError(f"{name} {number}: 0 to {_LARGEST} are possible")
    return values


def decode_hash(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """sha256 over what decoding needs: architecture, its part of the configuration, shapes and tensors."""
    config = {k: about["config"][k] for k in ARCHITECTURES[about["architecture"]].decoding_fields}
    decoding = {"architecture": about["architecture"], "config": config, "entropy": about["entropy"]}
    return _digest(decoding, {k: v for k, v in tensors.items() if k.startswith(DECODING)})


def contents_hash(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """sha256 over everything else in the file, so that damage to what only encoding needs is seen, too."""
    return _digest({k: v for k, v in about.items() if k != "contents_hash"}, tensors)


def _digest(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def save(path: Path, float_model: Any, entropy: FrozenEntropy, training_card: Mapping[str, Any]) -> str:
    """Write a weights file, whole or not at all: transforms in half precision (some with no more digits than bf16
    has, as the table of architectures says), gains in single, integers as they are. Returns the decode hash.

    Raises: PathError.
    """
    import torch
    from safetensors.torch import save as serialise

    row = architecture_of(float_model)
    parts = entropy.parts()
    tensors: dict[str, Any] = {f"entropy.{k}": v.contiguous() for k, v in parts.tensors.items()}
    for name, value in float_model.state_dict().items():
        if not name.startswith(("entropy.", "prior.")):
            keep = "gain" in name or name == "context_scale"
            if name.startswith(row.bf16_parts):
                value = value.bfloat16()
            tensors[name] = value.detach().cpu().to(torch.float32 if keep else torch.float16).contiguous()
    about = {
        "format": FORMAT,
        "architecture": row.name,
        "config": json.loads(json.dumps(float_model.config.as_dict())),
        "entropy": parts.shapes,
        "card": dict(training_card),
    }
    about["decode_hash"] = decode_hash(about, tensors)
    about["contents_hash"] = contents_hash(about, tensors)
    # Not safetensors' save_file: it makes files that only their owner can read. A path, even where it is called "-".
    data = serialise(tensors, metadata={"tacit": json.dumps(about, sort_keys=True)})
    files.write(os.path.abspath(path), data, force=True)
    return str(about["decode_hash"])


def import_taco(checkpoint: str | os.PathLike[str], out: str | os.PathLike[str]) -> WeightsInfo:
    """Freeze a published TACO checkpoint into a weights file. It is frozen once: the file is what people share.

    Raises:
        CorruptWeights: not the published network's state dict; PathError; NotExact.
    """
    import torch

    from tacit.models.calibration import synthetic_photos
    from tacit.models.frozen import freeze_entropy
    from tacit.models.taco import load_published, read_checkpoint
    from tacit.text.tokens import TextTokens

    state = read_checkpoint(checkpoint)
    try:
        model = load_published(state)
        photos = synthetic_photos(256)
        with torch.inference_mode():
            words = TextTokens.empty(len(photos), model.config.text_width)
            y = model.analysis(photos, words)
            z = model.hyper_latents(y)
        entropy = freeze_entropy(model, y.clone(), z.clone(), torch.zeros(len(photos)))
    except (CorruptWeights, NotExact) as error:
        raise type(error)(f"{checkpoint}: {error}") from error
    path = Path(out)
    source = {"imported_from": Path(checkpoint).name, "terms": "those of the published checkpoint"}
    save(path, model, entropy, source)
    return describe(path)
