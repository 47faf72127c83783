"""What the codec asks of an engine, and of a model that runs on it.

There are two engines: ONNX Runtime, on processors, and torch. Arrays that go from one call to the next are the engine's
own: numpy's, or tensors where torch runs. Whatever the codec does with them itself is what both can: shapes, slices,
assignment, `any`. Qualities and pixels come from the host, as numpy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from tacit.entropy.streams import Stream
from tacit.text.caption_tokens import CaptionTokens

S = TypeVar("S")
T = TypeVar("T")

Array = Any
"""An array of an engine: a numpy array or a tensor."""

Quality = float | np.ndarray | None
"""One quality of 0 to 100 for all, None where the rate is fixed, [B], or a map [B, h, w] float32.

A map has a value for each position of y, which is the same for the 4x4 positions of a hyper-latent.
"""

Work = Literal["encode", "decode", "reduce"]
"""What a model is used for: pixels to bytes, bytes to pixels, or bytes to a reduced image."""


class Engine(Protocol):
    """Where models run, and where their arrays are."""

    @property
    def name(self) -> str:
        """The name by which a codec is asked for it."""

    @property
    def device(self) -> str:
        """Where the arrays are."""

    @property
    def precision(self) -> str:
        """The precision of the transforms: "fp32" or "bf16"."""

    @property
    def regions_at_a_time(self) -> int:
        """How many regions of an image are worked on at a time, at most."""

    @property
    def overlaps(self) -> bool:
        """Whether work leaves the host free, so that batches are worked on in several large parts."""

    def pixels_together(self) -> int:
        """Return how many pixels are coded together."""

    def host_empty(self, shape: Sequence[int]) -> np.ndarray:
        """Return an array of the host, uint8, to be filled and given to a model."""

    def zeros(self, shape: Sequence[int], dtype: type[np.generic]) -> Array:
        """Return an array of zeros."""

    def stack(self, arrays: Sequence[Array]) -> Array:
        """Return arrays of one shape, of the engine or of the host, as a batch."""

    def from_host(self, array: np.ndarray) -> Array:
        """Return the values of an array of the host."""

    def to_host(self, array: Array) -> np.ndarray:
        """Return the values as an array of the host."""

    def fetch(self, array: Array) -> Callable[[], np.ndarray]:
        """Begin to copy the values to the host; return what waits for them."""

    def map_overlapped(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Return `work(part)` for each part, several of them at a time where the engine overlaps."""


class DecodingModel(Protocol):
    """What decodes latents, on an engine."""

    @property
    def engine(self) -> Engine:
        """The engine, whose arrays the model takes and gives."""

    @property
    def latent(self) -> int:
        """Channels of y."""

    @property
    def synthesis_reach(self) -> int:
        """Latents around a tile that its pixels depend on."""

    def latent_size(self, pixels: int) -> int:
        """Return the number of latents along a side of so many pixels."""

    def decompress(self, streams: Sequence[Stream], height: int, width: int, quality: Quality) -> Array:
        """Decode latents: y in sixteenths [B, M, height, width], int16.

        Raises:
            CorruptFile: No encoder can have written the bytes.
        """

    def release(self) -> None:
        """Give back the memory that is kept for the next work."""


class SmallModel(DecodingModel, Protocol):
    """What makes reduced images of a file: it decodes the first groups of latents alone."""

    @property
    def factors(self) -> Sequence[int]:
        """How much smaller than the image the reduced images can be, in rising order."""

    def reduced(self, latents: Array, quality: Quality, factor: int, *, color: bool = True) -> np.ndarray:
        """Return reduced images as levels [B, 16 h / factor, 16 w / factor, 3] uint8, or grey ones [.., 1]."""


class Model(DecodingModel, Protocol):
    """A model on an engine."""

    @property
    def small(self) -> SmallModel | None:
        """What makes reduced images with these weights; None if there is nothing."""

    @property
    def text_encoder(self) -> str:
        """The name of the text encoder that the words come from."""

    @property
    def text_width(self) -> int:
        """Channels of the words."""

    @property
    def published(self) -> bool:
        """Whether the network is the published one, whose regions are padded with zeros to whole hyper-latents.

        An image without a caption is encoded with the empty caption.
        """

    @property
    def variable_rate(self) -> bool:
        """Whether a quality means anything."""

    @property
    def quality_maps(self) -> bool:
        """Whether the quality may vary over an image."""

    @property
    def multiple(self) -> int:
        """Regions are padded to a multiple of this many pixels."""

    @property
    def analysis_reach(self) -> int:
        """Pixels around a tile that its latents depend on, in whole latents."""

    def prepare(self, work: Work) -> None:
        """Begin to make ready what work needs later on, beside what the caller does next."""

    def analyse(self, pixels: np.ndarray, tokens: CaptionTokens) -> Array:
        """Return y before the gain [B, M, H/16, W/16], float32.

        Args:
            pixels: Padded regions [B, H, W, 3] uint8.
            tokens: Of B captions.
        """

    def kept(self, y: Array, half: bool) -> Array:
        """Return y as it is kept from one encoding to the next, in half precision or in single; it can be coded."""

    def compress(self, y: Array, quality: Quality, falling: bool = False) -> tuple[list[Stream], Array]:
        """Entropy-code y before the gain: the stream of each image, and y as decoded, in sixteenths, int16.

        Args:
            y: [B, M, h, w].
            quality: The quality.
            falling: Whether the tables of each step come in falling order, as in progressive files.
        """

    def bits(self, y: Array, quality: Quality) -> np.ndarray:
        """Return the bits that `compress` takes at each position [B, h, w], float64."""

    def synthesise(self, latents: Array, quality: Quality) -> Array:
        """Return images [B, 3, 16 h, 16 w] float32, about 0 to 1 and not clamped, for latents in sixteenths."""

    def levels(self, latents: Array, quality: Quality, *, color: bool = True) -> Array:
        """Return images as levels [B, 16 h, 16 w, 3] uint8, or grey ones [B, 16 h, 16 w, 1]."""
