"""tacit: text-adaptive compression of images.

    data = tacit.encode("photo.jpg", "a red boat on a lake", quality=40)
    image = tacit.decode(data)

Each name is loaded when it is first used, so that `import tacit` and `tacit.info` need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tacit.errors import (
    CaptionerError,
    CaptionerUnusable,
    CorruptFile,
    CorruptWeights,
    FileError,
    ImageTooLarge,
    InvalidInput,
    MissingExtra,
    MissingWeights,
    NotExact,
    NotFound,
    PathError,
    ServiceError,
    TacitError,
    TargetNotReached,
    UnknownModel,
    UnsupportedFile,
    WeightsError,
)

if TYPE_CHECKING:
    from tacit.codec import Codec, EncodeOptions, EncodeResult, IncrementalDecoder, Keep, decode, encode
    from tacit.fileinfo import FileInfo, info
    from tacit.weights import available_models

__version__ = "0.2.0"

_HOMES = {
    "Codec": "tacit.codec",
    "EncodeOptions": "tacit.codec",
    "EncodeResult": "tacit.codec",
    "FileInfo": "tacit.fileinfo",
    "IncrementalDecoder": "tacit.codec",
    "Keep": "tacit.codec",
    "available_models": "tacit.weights",
    "decode": "tacit.codec",
    "encode": "tacit.codec",
    "info": "tacit.fileinfo",
}

__all__ = [
    "CaptionerError",
    "CaptionerUnusable",
    "Codec",
    "CorruptFile",
    "CorruptWeights",
    "EncodeOptions",
    "EncodeResult",
    "FileError",
    "FileInfo",
    "ImageTooLarge",
    "IncrementalDecoder",
    "InvalidInput",
    "Keep",
    "MissingExtra",
    "MissingWeights",
    "NotExact",
    "NotFound",
    "PathError",
    "ServiceError",
    "TacitError",
    "TargetNotReached",
    "UnknownModel",
    "UnsupportedFile",
    "WeightsError",
    "available_models",
    "decode",
    "encode",
    "info",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tacit' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
