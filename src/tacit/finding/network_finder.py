"""A finder that runs a network which somebody trained to look for words, through `transformers`."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tacit import files
from tacit.errors import InvalidInput
from tacit.extras import require
from tacit.finding.boxes import Box, map_of_boxes
from tacit.finding.found import Found, FoundThing, nothing
from tacit.finding.fusion import shared
from tacit.finding.maps import Map
from tacit.finding.phrases import Phrase, phrases_of, singular
from tacit.finding.place import placed
from tacit.pretrained.offline import EXTRA, cached_folder

if TYPE_CHECKING:
    from tacit.pretrained.open_vocabulary import Detections, NamedThing

RELATIVE = 0.5  # of the best box's score; boxes below are left out
MOST = 50  # boxes of one thing

Network = Callable[[NDArray[np.uint8], "Sequence[NamedThing]"], "Sequence[Detections | Map]"]


def _owlv2(folder: Path, device: str) -> Network:
    from tacit.pretrained.owlv2 import Owlv2

    return Owlv2(folder, device)


def _grounding_dino(folder: Path, device: str) -> Network:
    from tacit.pretrained.grounding_dino import GroundingDino

    return GroundingDino(folder, device)


def _clipseg(folder: Path, device: str) -> Network:
    from tacit.pretrained.clipseg import ClipSeg

    return ClipSeg(folder, device)


@dataclass(frozen=True)
class NetworkKind:
    """A kind of network that finds what words name."""

    title: str
    """What messages call it."""
    usual: str
    """The usual model's name on the Hugging Face hub."""
    threshold: float
    """The least score of what counts as found, 0 to 1, about that of the authors' examples."""
    load: Callable[[Path, str], Network]
    """Loads a model from a folder onto a device."""


NETWORKS: Mapping[str, NetworkKind] = MappingProxyType(
    {
        "owlv2": NetworkKind("OWLv2", "google/owlv2-base-patch16-ensemble", 0.2, _owlv2),
        "grounding-dino": NetworkKind("Grounding DINO", "IDEA-Research/grounding-dino-tiny", 0.3, _grounding_dino),
        "clipseg": NetworkKind("CLIPSeg", "CIDAS/clipseg-rd64-refined", 0.4, _clipseg),
    }
)
"""The kinds, by the names of finders."""


class NetworkFinder:
    """Finds what a network sees of each thing that a caption names.

    Nothing is downloaded, and nothing loaded before the first image. The network runs on a GPU where torch has one.

    Args:
        kind: One of `NETWORKS`.
        source: A folder, or a name whose files are in the Hugging Face cache; None for the usual model's.
        threshold: The least score of what counts as found, 0 to 1; None for the usual one.

    Raises:
        MissingExtra: `transformers` or torch is not installed.
        MissingWeights: The model's files are not on this machine; the message says how to get them.
        InvalidInput: The threshold is none.
    """

    def __init__(self, kind: str, source: str | None = None, *, threshold: float | None = None) -> None:
        of_kind = NETWORKS[kind]
        self._kind = kind
        self._threshold = of_kind.threshold if threshold is None else threshold
        if not 0 <= self._threshold <= 1:
            raise InvalidInput(f"threshold must be 0 to 1, got {threshold}")
        require("torch", of_kind.title, EXTRA)
        self._folder = cached_folder(of_kind.title, source or of_kind.usual)
        self._network: Network | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: it loads the network itself."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_network", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _network=None, _lock=threading.Lock())

    @property
    def settings(self) -> Mapping[str, Any]:
        """The kind, a hash of the model's files, and the threshold."""
        return {"finder": self._kind, "files": self._files_hash, "threshold": self._threshold}

    def __call__(self, pixels: NDArray[np.uint8], caption: str) -> Found:
        """Return what the network sees of a caption.

        Args:
            pixels: The image, uint8 [H, W, 1 or 3].
            caption: The caption; one that names nothing finds nothing.

        Raises:
            MissingWeights: Some of the model's files are not on this machine.
            CorruptWeights: The files are not such a model.
        """
        phrases = phrases_of(caption)
        if not phrases:
            return nothing()
        with self._lock:
            self._network = network = self._network or self._load()
        height, width, channels = pixels.shape
        colours = pixels if channels == 3 else np.repeat(pixels, 3, axis=2)
        things = []
        for phrase, seen in zip(phrases, network(colours, [_named(phrase) for phrase in phrases]), strict=True):
            found = self._sure(seen) if isinstance(seen, np.ndarray) else self._boxed(seen, phrase, width, height)
            things.append(FoundThing(phrase.text, () if found is None else (self._kind,), found))
        maps = [thing.map for thing in things if thing.map is not None]
        return Found(shared(maps), tuple(things)) if maps else nothing([phrase.text for phrase in phrases])

    def _load(self) -> Network:
        import torch

        return NETWORKS[self._kind].load(self._folder, "cuda" if torch.cuda.is_available() else "cpu")

    def _sure(self, seen: Map) -> Map | None:
        """Return a map whose likeliest place has 1; None where none is likely enough."""
        most = float(seen.max())
        return seen / most if most >= max(self._threshold, 1e-6) else None

    def _boxed(self, seen: Detections, phrase: Phrase, width: int, height: int) -> Map | None:
        """Return the map of the boxes that are sure enough; None where none is."""
        least = max(self._threshold, RELATIVE * float(seen.scores.max(initial=0.0)))
        inside = [
            (float(score), (left, top, right, bottom))
            for score, (left, top, right, bottom) in zip(seen.scores, seen.boxes.clip(0, 1).tolist(), strict=True)
            if score >= least and (right - left) * width >= 1 and (bottom - top) * height >= 1
        ]
        likely = sorted(inside, key=lambda one: -one[0])[:MOST]
        chosen = placed(likely, phrase)
        boxes: list[Box] = [
            (left * width, top * height, right * width, bottom * height)
            for _, (left, top, right, bottom) in (likely if chosen is None else [likely[chosen]])
        ]
        return map_of_boxes(boxes, width, height) if boxes else None

    @cached_property
    def _files_hash(self) -> str:
        """A hash of all files that the model's folder has."""
        total = hashlib.sha256()
        for path in sorted(path for path in self._folder.iterdir() if path.is_file()):
            total.update(f"{path.name}:{files.sha256(path)}\n".encode())
        return total.hexdigest()[:16]


def _named(phrase: Phrase) -> NamedThing:
    from tacit.pretrained.open_vocabulary import NamedThing

    for word in re.finditer(r"[^\W_]+(?:['\u2019-][^\W_]+)*", phrase.text):
        if singular(word[0].lower()) == phrase.head:
            return NamedThing(phrase.text, word.span())
    return NamedThing(phrase.text, (0, len(phrase.text)))
