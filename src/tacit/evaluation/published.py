"""Curves from papers, as lines to compare with. Their authors measured them; each names its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedCurve:
    """rates in bits per pixel, and values of `metric`, on the set called `dataset`."""

    name: str
    dataset: str
    metric: str
    rates: tuple[float, ...]
    values: tuple[float, ...]
    source: str


PUBLISHED = (
    PublishedCurve(
        "ELIC",
        "Kodak",
        "psnr",
        (0.0468, 0.0767, 0.1236, 0.1964, 0.3334, 0.4909, 0.7041, 0.8573),
        (26.27, 27.68, 29.13, 30.70, 32.80, 34.59, 36.49, 37.62),
        "He et al., ELIC, CVPR 2022: Kodak, mean rate and mean PSNR (dB) over the 24 images, as published",
    ),
)
