"""A model on torch, as the codec asks for one: pixels and qualities come as numpy arrays, latents are tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from tacit.codec.model import Engine, Quality, Work
from tacit.codec.torch_threads import torch_threads
from tacit.entropy.streams import Stream
from tacit.models.coding import CodingModel
from tacit.models.coding import Quality as TorchQuality
from tacit.models.host_memory import to_device
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.tokens import TextTokens

P = ParamSpec("P")
R = TypeVar("R")


Method = Callable[Concatenate["TorchModel", P], R]


def _in_torch(method: Method[P, R]) -> Method[P, R]:
    """Make a method run with the thread count that its caller was given."""

    @wraps(method)
    def inside(self: TorchModel, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch_threads():
            return method(self, *args, **kwargs)

    return inside  # type: ignore[return-value]  # mypy takes the wrapper for an object


class TorchModel:
    """A coding model on a device.

    Args:
        coding: The model, on the engine's device.
        engine: The engine.
    """

    def __init__(self, coding: CodingModel, engine: Engine) -> None:
        self.coding, self.engine = coding, engine
        self.latent = int(coding.config.latent)
        self.text_encoder = coding.text_encoder
        self.text_width = int(coding.config.text_width)
        self.published = coding.published
        self.variable_rate = coding.variable_rate
        self.quality_maps = coding.quality_maps
        self.multiple = coding.multiple
        self.analysis_reach = coding.analysis_reach
        self.synthesis_reach = coding.synthesis_reach

    small = None  # on a device, the whole synthesis takes no time to speak of

    def prepare(self, work: Work) -> None:
        """Do nothing: the whole model is loaded."""

    def release(self) -> None:
        """Do nothing: torch shares what it keeps among all that it does."""

    def latent_size(self, pixels: int) -> int:
        """Return the number of latents along a side of so many pixels."""
        return self.coding.latent_size(pixels)

    @_in_torch
    def analyse(self, pixels: np.ndarray, tokens: CaptionTokens) -> Tensor:
        """Return y before the gain [B, M, H/16, W/16], float32, for padded regions [B, H, W, 3] uint8."""
        return self.coding.analyse(self.unit(pixels), TextTokens.of(tokens))

    def unit(self, pixels: np.ndarray) -> Tensor:
        """Return levels [B, H, W, 3] as values of 0 to 1 [B, 3, H, W] float32, on the device."""
        levels = to_device(torch.from_numpy(pixels), self.coding.device)
        return levels.permute(0, 3, 1, 2).float() / 255

    @_in_torch
    def kept(self, y: Tensor, half: bool) -> Tensor:
        """Return y as it is kept from one encoding to the next."""
        return y.half() if half else y.clone()

    @_in_torch
    def compress(self, y: Tensor, quality: Quality, falling: bool = False) -> tuple[list[Stream], Tensor]:
        """Entropy-code y before the gain: the stream of each image, and y as decoded, in sixteenths, int16."""
        return self.coding.compress(y.float(), as_torch(quality), falling)

    @_in_torch
    def bits(self, y: Tensor, quality: Quality) -> np.ndarray:
        """Return the bits that `compress` takes at each position [B, h, w], float64."""
        return self.coding.bits(y.float(), as_torch(quality))

    @_in_torch
    def decompress(self, streams: Sequence[Stream], height: int, width: int, quality: Quality) -> Tensor:
        """Decode latents: y in sixteenths [B, M, height, width], int16."""
        return self.coding.decompress(streams, height, width, as_torch(quality))

    @_in_torch
    def synthesise(self, latents: Tensor, quality: Quality) -> Tensor:
        """Return images [B, 3, 16 h, 16 w] float32, not clamped, for latents in sixteenths."""
        return self.coding.synthesise(latents, as_torch(quality), clamp=False)

    @_in_torch
    def levels(self, latents: Tensor, quality: Quality, *, color: bool = True) -> Tensor:
        """Return images as levels [B, 16 h, 16 w, 3] uint8, or grey ones [B, 16 h, 16 w, 1]."""
        x = self.coding.synthesise(latents, as_torch(quality))
        if not color:
            x = x.mean(dim=1, keepdim=True)
        return x.mul(255).round_().to(torch.uint8).permute(0, 2, 3, 1)


def as_torch(quality: Quality) -> TorchQuality:
    """Return a quality as a `CodingModel` takes it."""
    return torch.from_numpy(quality) if isinstance(quality, np.ndarray) else quality
