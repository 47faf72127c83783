"""tacit's own models as codecs under measurement."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import files, weights
from tacit.codec.options import DEFAULT_FINDER
from tacit.errors import InvalidInput
from tacit.evaluation.codecs.protocol import CaptionSource, Pixels, Quality
from tacit.evaluation.cost import Cost, measure_cost
from tacit.evaluation.provenance import describe_libraries
from tacit.finding import load_finder
from tacit.words import shared_weigher

if TYPE_CHECKING:
    from tacit.codec import Codec

_sha256 = lru_cache(maxsize=64)(files.sha256)

QUALITIES: tuple[Quality, ...] = (0, 14, 28, 42, 57, 71, 86, 100)
FIXED_QUALITY = "fixed"
_SPEC = re.compile(
    r"(?P<base>.+?)(?:\+(?P<captions>captions|swapped))?(?P<weighted>\+weighted)?(?:\+steer(?P<steer>\d+(?:\.\d+)?))?"
    r"(?:\+effort(?P<effort>\d))?(?:\+finder=(?P<finder>.+))?",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class TacitCodec:
    """A model of tacit, or several of fixed rate that make one curve."""

    name: str
    """The codec's name in results."""
    models: Mapping[str, Path]
    """Weights files by quality; a single one for all qualities, under the key "", where the rate is variable."""
    captions: CaptionSource
    """Which caption the codec is given with an image."""
    device: str
    """Where the model runs, such as "cpu"."""
    precision: str
    """The precision that the model runs in: "fp32" or "bf16"."""
    weighted: bool = False
    """Whether the captions' words are weighted (`tacit.words`)."""
    steer: float = 0.0
    """How many steps of quality lie between what a caption names and what it does not."""
    effort: int = 0
    """How long the encoder looks for a better file, 0 to 9."""
    finder: str = DEFAULT_FINDER
    """What finds what a caption names."""
    suffix: str = "tacit"
    step: float = 0.5
    is_own: bool = True

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """The qualities that are measured by default, by rising rate."""
        return QUALITIES if "" in self.models else tuple(self.models)

    @property
    def held_memory(self) -> int:
        """How many bytes the weights take; half precision in the file may become float64 in frozen networks."""
        return 8 * max(map(os.path.getsize, self.models.values()))

    def missing(self) -> None:
        """Return None: a model whose weights are missing is not found in the first place."""

    def settings(self) -> Mapping[str, Any]:
        """Return the weights' hashes, the options and the versions that the files depend on."""
        infos = {key: weights.describe(path) for key, path in self.models.items()}
        return {
            "architecture": next(iter(infos.values())).architecture,
            "weights": {
                key or "all": {"file": a.path.name, "hash": a.decode_hash.hex(), "sha256": _sha256(a.path)}
                for key, a in infos.items()
            },
            "captions": self.captions,
            **({"word_weights": dict(shared_weigher().settings)} if self.weighted else {}),
            **({"steer": self.steer, "finder": dict(load_finder(self.finder).settings)} if self.steer else {}),
            **({"effort": self.effort} if self.effort else {}),
            "precision": self.precision,
            "device": self.device,
            **{name: version for name, version in describe_libraries().items() if name in ("tacit", "torch")},
        }

    def check(self, quality: Quality) -> Quality:
        """Return a quality in the form that results have it in.

        Raises:
            InvalidInput: The codec does not have this quality.
        """
        if "" not in self.models:
            if str(quality) not in self.models:
                raise InvalidInput(f"{self.name}: quality must be one of {', '.join(self.models)}, got {quality}")
            return str(quality)
        if isinstance(quality, str) or not 0 <= quality <= 100:
            raise InvalidInput(f"{self.name}: quality must be 0 to 100, got {quality}")
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Encode an image [H, W, 3] into a file."""
        codec = self.codec(quality, threads)
        number = None if isinstance(quality, str) else quality

        def work() -> None:
            target.write_bytes(codec.encode(pixels, caption, number))

        return measure_cost(work)[1]

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        """Decode a file to [H, W, 3] uint8."""
        codec = self.codec(quality, threads)
        return measure_cost(lambda: np.asarray(codec.decode(source).convert("RGB")))

    def decode_unclamped(self, source: Path, quality: Quality, threads: int) -> np.ndarray:
        """Decode a file to [H, W, 3] float32, about 0 to 1, neither clamped nor rounded."""
        return self.codec(quality, threads).unclamped(source).transpose(1, 2, 0)

    def codec(self, quality: Quality, threads: int) -> Codec:
        """Return the loaded codec for a quality, after it has run once."""
        path = self.models[""] if "" in self.models else self.models[str(quality)]
        return _loaded(path, self.device, self.precision, threads, self.weighted, self.steer, self.effort, self.finder)


@lru_cache(maxsize=4)
def _loaded(
    path: Path,
    device: str,
    precision: str,
    threads: int,
    weighted: bool,
    steer: float,
    effort: int,
    finder: str,
) -> Codec:
    """Load a codec and run one small image through it, so that measured times do not include loading."""
    from tacit.codec import Codec

    codec = Codec(
        path,
        device=device,
        precision=precision,
        threads=threads,
        word_weights=weighted,
        steer=steer,
        effort=effort,
        finder=finder,
    )
    codec.decode(codec.encode(np.zeros((64, 64, 3), np.uint8), "a grey square", effort=0))
    return codec


def find_tacit_codec(spec: str, device: str, precision: str) -> TacitCodec:
    """Return the codec that a specification names.

    Args:
        spec: A model's name, a weights file, or a folder of weights files of fixed rate; followed by `+captions` or
            `+swapped`, by `+weighted`, by `+steerN`, by `+effortN`, and by `+finder=NAME`, each of which may be left
            out.
        device: Where the model runs.
        precision: "fp32", "bf16", or "auto".

    Raises:
        InvalidInput: The specification has no name, or the folder is not one of weights files of fixed rate.
        UnknownModel: No model, or no finder, has that name.
    """
    parts = _SPEC.fullmatch(spec)
    if parts is None:
        raise InvalidInput("a codec's name must not be empty")
    base, weighted, steer = parts["base"], bool(parts["weighted"]), parts["steer"]
    captions: CaptionSource = "own" if weighted or steer or parts["finder"] else "none"
    if parts["captions"]:
        captions = "own" if parts["captions"] == "captions" else "swapped"
    folder = Path(base)
    if folder.is_dir():
        paths = sorted(folder.glob("*.safetensors"))
        if not paths:
            raise InvalidInput(f"{base}: no weights files (.safetensors) in this folder")
        if any(weights.describe(path).variable_rate for path in paths):
            raise InvalidInput(f"{base}: a folder must hold weights of fixed rate only; name one file instead")
        models = {path.stem: path for path in paths}
        name = folder.resolve().name
    else:
        path = weights.locate(base)
        name = path.stem
        models = {"" if weights.describe(path).variable_rate else FIXED_QUALITY: path}
    from tacit.codec import Codec

    strength: dict[str, Any] = {} if steer is None else {"steer": float(steer)}
    finder = parts["finder"] or DEFAULT_FINDER
    codec = Codec(next(iter(models.values())), device=device, precision=precision, finder=finder, **strength)
    return TacitCodec(
        name=name + spec.removeprefix(base),
        models=models,
        captions=captions,
        device=device,
        precision=codec.precision,
        weighted=weighted,
        steer=0.0 if captions == "none" else codec.steer,
        effort=int(parts["effort"] or 0),
        finder=finder,
    )
