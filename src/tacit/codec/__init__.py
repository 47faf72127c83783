"""The codec: an image and its caption to the bytes of a `.tacit` file, and back.

    encode: image ─► tiles ─► analysis (text injected) ─► y ─► entropy model, region by region ─► container
    decode: container ─► entropy model, region by region ─► latents ─► synthesis, tile by tile ─► image

Names are loaded when they are first used, so that options and rate control need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tacit.codec.codec import Codec, Prepared, decode, encode
    from tacit.codec.decoding import DamageWarning, FileSource, read_bytes
    from tacit.codec.encoding import EncodeResult
    from tacit.codec.incremental import IncrementalDecoder
    from tacit.codec.keep import Keep, KeepWarning, KeptBox
    from tacit.codec.options import DEFAULT_STEER, EncodeOptions, Target
    from tacit.codec.synthesis import Box, Latents

_HOMES = {
    "Box": "synthesis",
    "Codec": "codec",
    "DEFAULT_STEER": "options",
    "DamageWarning": "decoding",
    "EncodeOptions": "options",
    "EncodeResult": "encoding",
    "FileSource": "decoding",
    "IncrementalDecoder": "incremental",
    "Keep": "keep",
    "KeepWarning": "keep",
    "KeptBox": "keep",
    "Latents": "synthesis",
    "Prepared": "codec",
    "Target": "options",
    "decode": "codec",
    "encode": "codec",
    "read_bytes": "decoding",
}

__all__ = [
    "DEFAULT_STEER",
    "Box",
    "Codec",
    "DamageWarning",
    "EncodeOptions",
    "EncodeResult",
    "FileSource",
    "IncrementalDecoder",
    "Keep",
    "KeepWarning",
    "KeptBox",
    "Latents",
    "Prepared",
    "Target",
    "decode",
    "encode",
    "read_bytes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tacit.codec' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tacit.codec.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
