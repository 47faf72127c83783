"""The model as the codec runs it: float transforms with an integer entropy model. Nothing here trains.

Sizes: y has one position for 16x16 pixels of the padded region, so its size follows from the region's alone.

A quality is a number in 0..100 for a whole region, None where the rate is fixed, or a map of it [B, h, w] float32, with
a value for each position of y that is the same for the 4x4 positions of a hyper-latent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tacit.architectures import architecture_of
from tacit.entropy.streams import Stream
from tacit.entropy.units import HYPER_STEP, LATENT_STEP, Y_UNIT
from tacit.models.float_model import FloatModel
from tacit.models.frozen import FrozenEntropy
from tacit.models.layers import QualityScale, pad_to_multiple
from tacit.text.tokens import TextTokens

Quality = float | Tensor | None


class CodingModel(nn.Module):
    """The transforms of a float model, and its frozen entropy model.

    Args:
        float_model: Gives the transforms and gains.
        entropy: The frozen entropy model, which is exact whatever the precision.
        precision: The type of the transforms' arithmetic.
    """

    def __init__(self, float_model: FloatModel, entropy: FrozenEntropy, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = float_model.config
        self.float_model = float_model
        self.entropy = entropy
        self.precision = precision
        float_model.analysis.to(precision)
        float_model.synthesis.to(precision)
        self.eval().requires_grad_(False)

    @property
    def text_encoder(self) -> str:
        """The name of the text encoder that the words come from."""
        return str(self.config.text_encoder)

    @property
    def published(self) -> bool:
        """Whether the network is the published one.

        Its regions are padded with zeros to whole hyper-latents, and an image without a caption is encoded with the
        empty caption.
        """
        return self.float_model.published

    @property
    def variable_rate(self) -> bool:
        """Whether a quality means anything."""
        return bool(self.config.knots)

    @property
    def quality_maps(self) -> bool:
        """Whether the quality may vary over an image."""
        return architecture_of(self.float_model).quality_maps

    @property
    def multiple(self) -> int:
        """Regions are padded to a multiple of this many pixels."""
        return 64 if self.published else LATENT_STEP

    @property
    def analysis_reach(self) -> int:
        """Pixels around a tile that its latents depend on, rounded up to whole latents."""
        return -(-int(self.float_model.analysis.reach) // LATENT_STEP) * LATENT_STEP

    @property
    def synthesis_reach(self) -> int:
        """Latents around a tile that its pixels depend on."""
        return int(self.float_model.synthesis.reach)

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self.entropy.medians.device

    def latent_size(self, pixels: int) -> int:
        """Return the number of latents along a side of so many pixels."""
        return -(-pixels // self.multiple) * self.multiple // LATENT_STEP

    def pad(self, x: Tensor) -> Tensor:
        """Pad regions x [B, 3, H, W] until H and W are multiples of `multiple`.

        The border is repeated, or zeros are added for the published network.
        """
        return pad_to_multiple(x, self.multiple, zeros=self.published)

    def analyse(self, x: Tensor, tokens: TextTokens) -> Tensor:
        """Return y before the gain [B, M, H/16, W/16], float32.

        Args:
            x: Padded regions [B, 3, H, W] in [0, 1].
            tokens: Of B captions.
        """
        words = tokens.to(x.device)
        words = TextTokens(words.embeddings.to(self.precision), words.mask, words.weights.to(self.precision))
        with torch.inference_mode(), torch.autocast(x.device.type, enabled=False):
            return self.float_model.analysis(x.to(self.precision), words).float()  # type: ignore[no-any-return]

    def _gain(self, scale: QualityScale | None, quality: Quality, device: torch.device) -> Tensor:
        """Return gains [1, M, 1, 1], or [B, M, h, w] for a map; all ones where the rate is fixed."""
        if quality is None or scale is None:
            return torch.ones(1, 1, 1, 1, dtype=torch.float32, device=device)
        gain: Tensor = scale(_as_tensor(quality, 1, device))
        return gain

    def hundredths(self, quality: Quality) -> int | Tensor:
        """Return the quality as the entropy model takes it, in whole hundredths.

        For a map, that is one value for each hyper-latent [B, hz, wz].
        """
        if isinstance(quality, Tensor):
            return (quality[:, ::HYPER_STEP, ::HYPER_STEP].double() * 100).round()
        return 0 if quality is None else round(quality * 100)

    @torch.inference_mode()
    def scaled(self, y: Tensor, quality: Quality) -> tuple[Tensor, Tensor]:
        """Return y after the gain, in steps, and its hyper-latents; neither is rounded."""
        scaled = y * self._gain(self.float_model.gain, quality, y.device)
        padded = pad_to_multiple(scaled, 4) if y.shape[2] % 4 or y.shape[3] % 4 else scaled
        with torch.autocast(y.device.type, enabled=False):
            return scaled, self.float_model.hyper_latents(padded).float()

    @torch.inference_mode()
    def compress(self, y: Tensor, quality: Quality, falling: bool = False) -> tuple[list[Stream], Tensor]:
        """Entropy-code latents.

        Args:
            y: Before the gain [B, M, h, w].
            quality: The quality or a map of it.
            falling: Whether the tables of each step come in falling order.

        Returns:
            The stream of each image, and y as decoded, in sixteenths of a step, int16.
        """
        return self.compress_scaled(*self.scaled(y, quality), quality, falling)

    @torch.inference_mode()
    def compress_scaled(
        self, scaled: Tensor, z: Tensor, quality: Quality, falling: bool = False
    ) -> tuple[list[Stream], Tensor]:
        """Entropy-code latents and hyper-latents that `scaled` has made, or that have been refined since.

        Args:
            scaled: After the gain [B, M, h, w].
            z: [B, Z, hz, wz].
            quality: The quality or a map of it.
            falling: As in `compress`.

        Returns:
            As `compress`.
        """
        return self.entropy.compress(scaled, z, self.hundredths(quality), falling)

    @torch.inference_mode()
    def bits(self, y: Tensor, quality: Quality) -> np.ndarray:
        """Return the bits that `compress` takes at each position [B, h, w], float64.

        Args:
            y: Before the gain [B, M, h, w].
            quality: The quality or a map of it.
        """
        scaled, z = self.scaled(y, quality)
        return self.entropy.bits(scaled, z, self.hundredths(quality))

    @torch.inference_mode()
    def decompress(self, streams: Sequence[Stream], height: int, width: int, quality: Quality) -> Tensor:
        """Decode latents.

        Args:
            streams: The stream of each image.
            height: Of the region, in latents.
            width: Of the region, in latents.
            quality: The quality or a map of it.

        Returns:
            y in sixteenths of a step [B, M, height, width], int16.

        Raises:
            CorruptFile: No encoder can have written the bytes.
        """
        return self.entropy.decompress(streams, height, width, self.hundredths(quality))

    @torch.inference_mode()
    def synthesise(self, latents: Tensor, quality: Quality, *, clamp: bool = True) -> Tensor:
        """Return images x [B, 3, 16 h, 16 w] for latents.

        Args:
            latents: y in sixteenths of a step [B, M, h, w], int16.
            quality: The quality or a map of it.
            clamp: Whether x is clamped to [0, 1].
        """
        x = self.reconstruct(latents.float() / Y_UNIT, quality)
        return x.clamp_(0, 1) if clamp else x

    def reconstruct(self, y: Tensor, quality: Quality) -> Tensor:
        """Return images x [B, 3, 16 h, 16 w], not clamped, through which gradients pass.

        Args:
            y: In steps [B, M, h, w].
            quality: The quality or a map of it.
        """
        y = y * self._gain(self.float_model.inverse_gain, quality, y.device)
        qualities = _as_tensor(50.0 if quality is None else quality, y.shape[0], y.device)
        with torch.autocast(y.device.type, enabled=False):
            y = y.to(self.precision).contiguous(memory_format=torch.channels_last)
            x: Tensor = self.float_model.synthesis(y, qualities).float()
        return x


def _as_tensor(quality: float | Tensor, batch: int, device: torch.device) -> Tensor:
    if isinstance(quality, Tensor):
        return quality.to(device)
    return torch.full((batch,), quality, dtype=torch.float32, device=device)
