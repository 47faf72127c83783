"""The codecs of a worker process: its own model's, and those of other models that requests named lately."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tacit import machine
from tacit.codec.options import DEFAULT_FINDER

if TYPE_CHECKING:
    from tacit.codec import Codec

OTHER_CODECS = 4  # of other models or options, kept beside the worker's own

_codec: Codec | None = None
_text_encoder: str | None = None
_finder: str = DEFAULT_FINDER


def load(model: str, text_encoder: str | None = None, finder: str = DEFAULT_FINDER) -> None:
    """Load this worker's codec, and everything that its first job would otherwise have to wait for."""
    global _codec, _text_encoder, _finder
    machine.let_threads_sleep()  # since other workers want the cores
    from PIL import Image

    from tacit.codec import Codec

    Image.MAX_IMAGE_PIXELS = None  # the service has a limit of its own and checks it before decoding
    _codec, _text_encoder, _finder = Codec(model, text_encoder=text_encoder, finder=finder), text_encoder, finder
    _codec.decode(_codec.encode(Image.new("RGB", (16, 16)), "a word"))


def worker_codec(model: str | None = None, *, word_weights: bool = False) -> Codec:
    """Return this worker's codec for a model; loaded codecs are kept.

    Args:
        model: The path of a weights file, or None for the service's own model.
        word_weights: As of `tacit.Codec`.

    Raises:
        RuntimeError: This process is not a worker.
        TacitError: The codec cannot be made; see `tacit.Codec`.
    """
    if _codec is None:
        raise RuntimeError("only a worker has a codec")
    if model is None and not word_weights:
        return _codec
    return _other_codec(model or str(_codec.path), word_weights)


@lru_cache(maxsize=OTHER_CODECS)
def _other_codec(model: str, word_weights: bool) -> Codec:
    from tacit.codec import Codec

    assert _codec is not None
    own = model == str(_codec.path)  # the operator may have chosen a text encoder for the service's own model
    return Codec(model, word_weights=word_weights, text_encoder=_text_encoder if own else None, finder=_finder)
