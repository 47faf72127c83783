"""A model as far as reduced images need it: the first groups of its latents, and the small synthesis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.engine.onnx_engine import OnnxEngine
from tacit.engine.qualities import Quality, hundredths_of, planes
from tacit.engine.schedule import LatentCoding
from tacit.engine.sessions import Sessions
from tacit.entropy.streams import Stream
from tacit.entropy.units import HYPER_STEP, LATENT_STEP

GRAPH = "small_synthesis"


class SmallModel:
    """Decodes the first groups of latents, and makes reduced images of them.

    Args:
        config: The configuration of the small synthesis.
        coding: The model's latents to bytes and back.
        sessions: Runs the graph of the small synthesis.
    """

    engine = OnnxEngine()

    def __init__(self, config: Mapping[str, Any], coding: LatentCoding, sessions: Sessions) -> None:
        self._config, self._coding, self._sessions = config, coding, sessions

    @property
    def factors(self) -> Sequence[int]:
        """How much smaller than the image the reduced images can be, in rising order."""
        return sorted(self._config["factors"])

    @property
    def groups(self) -> int:
        """How many groups of latents are decoded."""
        return int(self._config["groups"])

    @property
    def latent(self) -> int:
        """Channels of y that are decoded."""
        return int(self._config["channels"])

    @property
    def synthesis_reach(self) -> int:
        """Latents around a tile that its pixels depend on."""
        return 1 + int(self._config["blocks"])

    def release(self) -> None:
        """Give back the memory that the small synthesis keeps for its next run."""
        self._sessions.release()

    def prepare(self) -> None:
        """Begin to make the session of the small synthesis, beside what the caller does next."""
        self._sessions.prepare([GRAPH])

    def make_session(self) -> None:
        """Make the session of the small synthesis, in the caller's thread."""
        self._sessions.make(([GRAPH], False))

    def latent_size(self, pixels: int) -> int:
        """Return the number of latents along a side of so many pixels."""
        return -(-pixels // LATENT_STEP)

    def decompress(self, streams: Sequence[Stream], height: int, width: int, quality: Quality) -> np.ndarray:
        """Decode the first groups of latents: y in sixteenths [B, M, height, width], int16.

        Raises:
            CorruptFile: No encoder can have written the bytes, as far as they were read.
        """
        hundredths = hundredths_of(quality, len(streams), -(-height // HYPER_STEP), -(-width // HYPER_STEP))
        return self._coding.decompress(streams, height, width, hundredths, self.groups)

    def reduced(self, latents: np.ndarray, quality: Quality, factor: int, *, color: bool = True) -> np.ndarray:
        """Return reduced images as levels [B, 16 h / factor, 16 w / factor, 3] uint8, or grey ones [.., 1].

        Args:
            latents: y in sixteenths [B, M, h, w], int16.
            quality: The quality.
            factor: One of `factors`.
            color: Whether the images have colours.
        """
        inputs = {"latents": latents, "quality": planes(quality, len(latents))}
        (levels,) = self._sessions.run(GRAPH, inputs, [f"pixels{factor}"])
        if color:
            return levels
        grey: np.ndarray = np.rint(levels.mean(axis=-1, keepdims=True, dtype=np.float32)).astype(np.uint8)
        return grey
