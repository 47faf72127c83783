"""A model that runs on ONNX Runtime: what the codec asks of a model, on numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Literal

import numpy as np

from tacit.engine.onnx_engine import OnnxEngine
from tacit.engine.qualities import Quality, hundredths_of, planes
from tacit.engine.schedule import LatentCoding
from tacit.engine.sessions import Sessions
from tacit.engine.small_model import SmallModel
from tacit.entropy.coder import SymbolModels
from tacit.entropy.streams import Stream, StreamModels
from tacit.entropy.tables import FrequencyTables
from tacit.entropy.units import HYPER_STEP, LATENT_STEP, Z_UNIT
from tacit.errors import TacitError
from tacit.text.caption_tokens import CaptionTokens

Work = Literal["encode", "decode", "reduce"]
"""What a model is used for: pixels to bytes, bytes to pixels, or bytes to a reduced image."""


class OnnxModel:
    """The graphs of a model, with its tables.

    Args:
        config: The configuration of the model.
        entropy: The shapes of the frozen networks, as the weights file's metadata have them.
        tensors: All tensors of the weights file but the graphs.
        sessions: Runs the graphs.
        small: Loads the small synthesis, of the latents' coding; None if there is none.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        entropy: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray],
        sessions: Sessions,
        small: Callable[[LatentCoding], SmallModel] | None = None,
    ) -> None:
        self.config, self.sessions = config, sessions
        self._entropy, self._tensors = entropy, tensors
        self._load_small = small

    @cached_property
    def coding(self) -> LatentCoding:
        """Latents to bytes and back."""
        parts = ("frequencies", "sizes", "lows")
        y, z = (FrequencyTables(*(self._tensors[f"entropy.tables.{n}.{p}"] for p in parts)) for n in ("y", "z"))
        return LatentCoding(
            runner=self.sessions,
            groups=self._entropy["groups"],
            models=StreamModels(SymbolModels(z), SymbolModels(y), self._entropy["skip"]),
            medians=self._tensors["entropy.medians"] / Z_UNIT,
            plane=self._entropy["plane"],
            reach=max(
                sum(layer["kind"] == "depthwise" for layer in layers)
                for name, layers in self._entropy["chains"].items()
                if name != "hyper_synthesis"
            ),
        )

    @cached_property
    def small(self) -> SmallModel | None:
        """What makes reduced images; None if there is no small synthesis for these weights."""
        return None if self._load_small is None else self._load_small(self.coding)

    engine = OnnxEngine()
    published = False
    quality_maps = True
    multiple = LATENT_STEP

    @property
    def latent(self) -> int:
        """Channels of y."""
        return int(self.config["latent"])

    @property
    def text_encoder(self) -> str:
        """The name of the text encoder that the words come from."""
        return str(self.config["text_encoder"])

    @property
    def text_width(self) -> int:
        """Channels of the words."""
        return int(self.config["text_width"])

    @property
    def variable_rate(self) -> bool:
        """Whether a quality means anything."""
        return bool(self.config["knots"])

    def prepare(self, work: Work) -> None:
        """Begin to make the sessions that work needs later on, beside what the caller does next."""
        # The caller makes what it needs first, from the other end.
        if work == "reduce" and self.small is not None:
            self.small.prepare()
            self.sessions.prepare([], self._steps(self.small.groups)[::-1])
            return
        first = ["synthesis"] if work == "decode" else ["hyper_analysis", "hyper"]
        self.sessions.prepare(first, self._steps()[::-1])

    def make_sessions(self, work: Work) -> None:
        """Make the sessions that work needs, in the order in which it needs them. What fails is left to the run."""
        small = None
        if work == "reduce":
            with suppress(TacitError):
                small = self.small
        if small is not None:
            self.sessions.make((["hyper"], False), (self._steps(small.groups), True))
            small.make_session()
        elif work != "encode":
            self.sessions.make((["hyper"], False), (self._steps(), True), (["synthesis"], False))
        else:
            self.sessions.make((["analysis", "hyper_analysis", "hyper"], False), (self._steps(), True))

    def release(self) -> None:
        """Give back the memory that is kept for the next work; what it takes is made again."""
        self.sessions.release()

    def _steps(self, count: int | None = None) -> list[str]:
        """Return the names of the coding order's graphs, in their order; those of the first groups by their count."""
        groups = len(self._entropy["groups"]) if count is None else count
        return [f"{kind}.{group}" for group in range(groups) for kind in ("anchor", "other")]

    def latent_size(self, pixels: int) -> int:
        """Return the number of latents along a side of so many pixels."""
        return -(-pixels // LATENT_STEP)

    @property
    def analysis_reach(self) -> int:
        """Pixels around a tile that its latents depend on, in whole latents."""
        pixels: int = 8 * self.config["analysis8"] + 16 * self.config["analysis16"]
        return -(-pixels // LATENT_STEP) * LATENT_STEP

    @property
    def synthesis_reach(self) -> int:
        """Latents around a tile that its pixels depend on."""
        return int(self.config["synthesis16"] + -(-self.config["synthesis8"] // 2))

    def analyse(self, pixels: np.ndarray, tokens: CaptionTokens) -> np.ndarray:
        """Return y before the gain [B, M, H/16, W/16], float32.

        Args:
            pixels: Padded regions [B, H, W, 3] uint8.
            tokens: Of B captions.
        """
        inputs = {"pixels": pixels, "words": tokens.embeddings, "mask": tokens.mask, "weights": tokens.weights}
        return self.sessions.run("analysis", inputs, ["y"])[0]

    def kept(self, y: np.ndarray, half: bool) -> np.ndarray:
        """Return y as it is kept from one encoding to the next, in half precision or in single."""
        return y.astype(np.float16 if half else np.float32)

    def compress(self, y: np.ndarray, quality: Quality, falling: bool = False) -> tuple[list[Stream], np.ndarray]:
        """Entropy-code y before the gain: the stream of each image, and y as decoded, in sixteenths, int16."""
        scaled, z = self._scaled(y, quality)
        return self.coding.compress(scaled, z, hundredths_of(quality, len(z), z.shape[2], z.shape[3]), falling)

    def bits(self, y: np.ndarray, quality: Quality) -> np.ndarray:
        """Return the bits that `compress` takes at each position [B, h, w], float64."""
        scaled, z = self._scaled(y, quality)
        return self.coding.bits(scaled, z, hundredths_of(quality, len(z), z.shape[2], z.shape[3]))

    def decompress(self, streams: Sequence[Stream], height: int, width: int, quality: Quality) -> np.ndarray:
        """Decode latents: y in sixteenths [B, M, height, width], int16.

        Raises:
            CorruptFile: No encoder can have written the bytes.
        """
        hundredths = hundredths_of(quality, len(streams), -(-height // HYPER_STEP), -(-width // HYPER_STEP))
        return self.coding.decompress(streams, height, width, hundredths)

    def synthesise(self, latents: np.ndarray, quality: Quality) -> np.ndarray:
        """Return images [B, 3, 16 h, 16 w], about 0 to 1 and not clamped, for latents in sixteenths."""
        inputs = {"latents": latents, "quality": planes(quality, len(latents))}
        return self.sessions.run("synthesis", inputs, ["image"])[0]

    def levels(self, latents: np.ndarray, quality: Quality, *, color: bool = True) -> np.ndarray:
        """Return images as levels [B, 16 h, 16 w, 3] uint8, or grey ones [B, 16 h, 16 w, 1]."""
        if not color:
            x = self.synthesise(latents, quality).clip(0, 1).mean(axis=1, dtype=np.float32)
            levels: np.ndarray = np.rint(x * np.float32(255)).astype(np.uint8)[..., None]
            return levels
        inputs = {"latents": latents, "quality": planes(quality, len(latents))}
        return self.sessions.run("synthesis", inputs, ["pixels"])[0]

    def _scaled(self, y: np.ndarray, quality: Quality) -> tuple[np.ndarray, np.ndarray]:
        """Return y after the gain, and its hyper-latents."""
        inputs = {"y": np.ascontiguousarray(y, np.float32), "quality": planes(quality, len(y))}
        scaled, z = self.sessions.run("hyper_analysis", inputs, ["scaled", "z"])
        return scaled, z
