"""Codecs under measurement: Pillow's formats, jpegli, ffmpeg's encoders, tacit's models, and any program."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tacit.errors import MissingExtra, TacitError
from tacit.evaluation.codecs.ffmpeg import SVT_AV1, VVENC
from tacit.evaluation.codecs.jpegli import JPEGLI
from tacit.evaluation.codecs.pillow_formats import (
    AVIF,
    AVIF_PSNR,
    AVIF_SLOW,
    AVIF_SLOW_PSNR,
    HEIC,
    JPEG,
    JPEG_2000,
    JPEG_XL,
    JPEG_XL_SLOW,
    WEBP,
)
from tacit.evaluation.codecs.protocol import EvalCodec, Quality
from tacit.evaluation.codecs.tacit import find_tacit_codec

__all__ = ["CODECS", "EvalCodec", "Quality", "find_codec"]

CODECS: Mapping[str, EvalCodec] = MappingProxyType(
    {
        codec.name: codec
        for codec in (
            *(JPEG, JPEGLI, WEBP),
            *(AVIF, AVIF_PSNR, AVIF_SLOW, AVIF_SLOW_PSNR, SVT_AV1),
            *(JPEG_2000, JPEG_XL, JPEG_XL_SLOW, HEIC, VVENC),
        )
    }
)
"""Codecs that are known by name, besides tacit's models."""


def find_codec(
    spec: str, programs: Mapping[str, EvalCodec] | None = None, *, device: str = "cpu", precision: str = "auto"
) -> EvalCodec:
    """Return the codec that a specification names.

    Args:
        spec: One of `CODECS`, one of `programs`, or a model of tacit: its name, a weights file, or a folder of weights
            files of fixed rate, which make one curve. A model is given no captions unless `+captions` (each image's
            own) or `+swapped` (the next image's) follows its name. `+weighted` after that weights the captions' words,
            and `+steerN` after that steers by them with N steps of quality instead of the usual number.
        programs: Further codecs by name, as `read_codec_file` returns them.
        device: Where a model of tacit runs.
        precision: The precision of a model of tacit: "fp32", "bf16", or "auto".

    Raises:
        MissingExtra: The codec's library or program is not installed.
        UnknownModel: No codec and no model has that name.
        PathError: A weights file cannot be read.
        InvalidInput: The specification has no name, or the folder is not one of weights files of fixed rate.
    """
    named = {**(programs or {}), **CODECS}
    if spec in named:
        codec = named[spec]
    else:
        try:
            codec = find_tacit_codec(spec, device, precision)
        except TacitError as error:
            others = ", ".join([*CODECS, *(programs or ())])
            raise type(error)(f"{error}; other codecs: {others}") from error
    if (problem := codec.missing()) is not None:
        raise MissingExtra(problem)
    return codec
