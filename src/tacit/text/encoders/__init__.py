"""Text encoders, which turn captions into token embeddings.

`EmbeddedEncoder` is the default and works offline; `ClipEncoder` runs CLIP's text model through `transformers`, the
extra `clip`. Encoding an image uses these; decoding never does, and no decoder code may import this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from tacit.errors import UnknownModel
from tacit.text.encoders.clip import ClipEncoder
from tacit.text.encoders.embedded import EmbeddedEncoder
from tacit.text.encoders.encoder import TextEncoder

ENCODERS: Mapping[str, Callable[..., TextEncoder]] = MappingProxyType(
    {
        "embedded": EmbeddedEncoder,
        "clip": ClipEncoder,
        "clip-published": partial(ClipEncoder, published=True),
    }
)
"""What makes an encoder, by the encoder's name."""

WITH_SOURCE = frozenset({"clip", "clip-published"})
"""The encoders whose name may be followed by a colon and the source of their files, which is their first argument."""


def load_encoder(name: str) -> TextEncoder:
    """Load a text encoder by its name.

    Args:
        name: One of `ENCODERS`. "clip" and "clip-published" may be followed by ":SOURCE", which is a folder, or a name
            whose files are in the Hugging Face cache; without one it is CLIP ViT-B/32.

    Raises:
        UnknownModel: No encoder has that name.
        MissingExtra: CLIP needs the extra `clip`.
        MissingWeights: CLIP's files are not on this machine; the message says how to get them.
        CorruptWeights: The encoder's files do not verify.
    """
    kind, colon, source = name.partition(":")
    if kind in ENCODERS and not colon:
        return ENCODERS[kind]()
    if kind in WITH_SOURCE and source:
        return ENCODERS[kind](source)
    known = [*ENCODERS, *(f"{kind}:SOURCE" for kind in sorted(WITH_SOURCE))]
    raise UnknownModel(f"text encoder must be one of {', '.join(known)}, got {name!r}")


__all__ = ["ENCODERS", "WITH_SOURCE", "ClipEncoder", "EmbeddedEncoder", "TextEncoder", "load_encoder"]
