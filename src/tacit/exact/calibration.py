"""Stand-ins for images, to see the ranges of a network's activations where no images are at hand.

They are coloured noise with the spectrum of natural images (amplitude falling as 1/f) at several contrasts. Freezing
leaves a margin of 32 above what they reach, so they need to be right within a factor, no more.
"""

from __future__ import annotations

import torch
from torch import Tensor

CONTRASTS = (0.05, 0.15, 0.3, 0.6)


def synthetic_images(size: int, seed: int = 0) -> Tensor:
    """Make one image for each contrast.

    Args:
        size: Height and width in pixels.
        seed: Of the noise.

    Returns:
        [4, 3, size, size] in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    frequency = torch.fft.fftfreq(size)
    radius = (frequency[:, None].square() + frequency[None, :].square()).sqrt().clamp_min(1 / size)
    noise = torch.randn(len(CONTRASTS), 3, size, size, generator=generator)
    shaped: Tensor = torch.fft.ifft2(torch.fft.fft2(noise) / radius).real
    shaped = shaped + 2 * shaped.mean(dim=1, keepdim=True)  # the colours of an image go together
    shaped = shaped / shaped.std(dim=(1, 2, 3), keepdim=True)
    return (0.5 + torch.tensor(CONTRASTS)[:, None, None, None] * shaped).clamp(0, 1)
