"""How near a decoded box is to the original, here and on any other decoder.

Decoders agree in a file's integers, and differ in pixels by what the precision of their transforms does: between the
engines in fp32 one sample in a hundred thousand by a level, and about one in eight where a GPU decodes in bf16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tacit.image.psnr import PEAK, decibels, psnr
from tacit.image.ssimulacra2 import ssimulacra2

ROUNDING = 0.15  # squared levels that decoding in bf16 adds to a mean squared error; measured: 0.11 to 0.13
DEVIATIONS = 6  # of that sum's standard deviation, for a box of few samples
SCORE = 0.75  # points of SSIMULACRA 2 that decoding in bf16 takes; measured: up to 0.54


@dataclass(frozen=True)
class Fidelity:
    """How near a box is to the original."""

    reached: float
    """The value of the measure as this decoder has it; infinity where nothing is lost."""

    assured: float
    """The value that every decoder reaches."""


def fidelity(measure: str, image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Fidelity:
    """Return the fidelity of a box.

    Args:
        measure: "psnr" or "ssimulacra2".
        image: The decoded box, uint8 [h, w, 1 or 3].
        reference: The same box of the original.

    Raises:
        InvalidInput: The box is too small for the measure.
        MissingExtra: The measure needs a package that is not installed.
    """
    if measure == "ssimulacra2":
        score = ssimulacra2(image, reference)
        return Fidelity(score, score - SCORE)
    reached = psnr(image, reference)
    error = PEAK**2 / 10 ** (reached / 10)
    spread = math.sqrt(4 * error * ROUNDING / image.size)
    return Fidelity(reached, decibels(error + ROUNDING + DEVIATIONS * spread))
