"""Loading weights: a file is read, verified, and built into the model that the codec runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from torch import nn
from torch.overrides import TorchFunctionMode

from tacit.architectures import ARCHITECTURES
from tacit.errors import CorruptWeights, PathError
from tacit.models.coding import CodingModel
from tacit.models.frozen import EntropyParts, FrozenEntropy
from tacit.weights.catalogue import SHIPPED, shipped_path
from tacit.weights.metadata import GRAPHS, checked_config, contents_hash, decode_hash, read_metadata

# What parts that do not belong together can raise on their way into a model.
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)


def load(path: Path, device: torch.device | str = "cpu", precision: torch.dtype | None = None) -> CodingModel:
    """Read a weights file, verify it and build the model.

    Args:
        path: The weights file.
        device: Where the model will run.
        precision: The type of the transforms' arithmetic, float32 if not given.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file does not verify, or its parts do not belong together.
    """
    about = read_metadata(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    if path == shipped_path(path.stem):
        _expect(path, "sha256", hashlib.sha256(data).hexdigest(), SHIPPED.get(path.stem))
    try:
        tensors = parse(data)
    except (SafetensorError, *_UNFIT) as error:
        raise CorruptWeights(f"{path}: {error}") from error
    try:
        _expect(path, "decode hash", decode_hash(about, tensors), about["decode_hash"])
        _expect(path, "contents hash", contents_hash(about, tensors), about["contents_hash"])
        row = ARCHITECTURES[about["architecture"]]
        config = row.config_class()(**checked_config(about["config"]))
        with _without_values():
            model = row.model_class()(config)
        model.entropy = model.prior = nn.Identity()
        floats = {k: v.float() for k, v in tensors.items() if not k.startswith(("entropy.", GRAPHS))}
        model.load_state_dict(floats, strict=True, assign=True)
        integers = {k.removeprefix("entropy."): v for k, v in tensors.items() if k.startswith("entropy.")}
        entropy = FrozenEntropy.restore(EntropyParts(about["entropy"], integers))
        entropy.check(config.groups, model.hyper_analysis[-1].out_channels)
    except _UNFIT as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CorruptWeights(f"{path}: parts do not belong together: {reason}") from error
    return CodingModel(model, entropy, precision or torch.float32).to(device)


def _expect(path: Path, name: str, computed: str, stored: Any) -> None:
    if computed != stored:
        raise CorruptWeights(f"{path}: {name} must be {stored}, got {computed}")


@contextmanager
def _without_values() -> Iterator[None]:
    """Make modules without the random values that stored ones replace: memory that is never touched costs nothing.

    torch's meta device would do the same, but it imports half a second's worth of torch.
    """

    class Skip(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if getattr(func, "__module__", None) == "torch.nn.init" or getattr(func, "__name__", None) == "uniform_":
                return args[0] if args else kwargs["tensor"]
            return func(*args, **kwargs)

    with Skip():
        yield
