"""Colours that no ICC profile describes: primaries and a curve, by number or by name, and their way to sRGB."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tacit.image.raster import Pixels

Chromaticities: TypeAlias = tuple[float, ...]
"""x and y of white, red, green and blue: eight numbers, in the order of PNG's cHRM."""

D65 = (0.3127, 0.3290)
"""x and y of the white of daylight, which most colour spaces have."""
SRGB_PRIMARIES: Chromaticities = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

# Code points of ITU-T H.273, which cICP, nclx and others share.
_PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("BT.709", SRGB_PRIMARIES),
    4: ("BT.470 System M", (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("BT.601, 625 lines", (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: ("BT.601, 525 lines", (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: ("SMPTE 240M", (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    8: ("film", (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049)),
    9: ("BT.2020", (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    10: ("CIE XYZ", (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    22: ("EBU 3213", (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077)),
}
# Curves whose inverse is a power. Those of BT.709, BT.601, BT.2020 and their kin are the camera's; what is seen of them
# is near sRGB, and that is how viewers take them, so that they count as sRGB's.
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_LIKE_SRGB = {1, 6, 7, 11, 12, 13, 14, 15}
_OTHER_CURVES = {9: "a logarithmic curve", 10: "a logarithmic curve", 16: "PQ (HDR)", 17: "DCDM", 18: "HLG (HDR)"}
_UNSPECIFIED = {0, 2, 3}

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_NEAR = 0.05  # what a gamma may differ from 2.2 and still mean sRGB's curve, as in libpng
_STEPS = 65535  # of light, for which levels of sRGB are in a table


@dataclass(frozen=True)
class ColourSpace:
    """What the numbers of an image mean.

    Raises:
        ValueError: The primaries span no space, or the gamma is not positive.
    """

    primaries: Chromaticities = SRGB_PRIMARIES
    """Of white, red, green and blue."""
    gamma: float | None = None
    """Light is a number in [0, 1] to this power; None where the curve is sRGB's."""

    def __post_init__(self) -> None:
        if self.gamma is not None and not 0.1 <= self.gamma <= 10:
            raise ValueError(f"gamma must be 0.1 to 10, got {self.gamma:g}")
        if not np.isfinite(self._matrix).all():
            raise ValueError("primaries must span a colour space")

    @property
    def is_srgb(self) -> bool:
        """Whether numbers mean what they mean in sRGB, but for a level at most."""
        steps = np.linspace(0, 255, 18).astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        greys = np.arange(256, dtype=np.uint8)[None, :, None]
        return all(np.abs(self.levels(probe).astype(int) - probe).max() <= 1 for probe in (cube, greys))

    def levels(self, levels: Pixels) -> Pixels:
        """Return levels uint8 [H, W, 1 or 3] as levels of sRGB; what lies outside is clipped."""
        light = self._light(np.arange(256, dtype=np.float32) / np.float32(255))
        if levels.shape[2] == 1:
            grey: Pixels = _srgb_levels(light)[levels]
            return grey
        return _srgb_levels(light[levels] @ self._matrix.T.astype(np.float32))

    def greys(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return greys in [0, 1] as greys of sRGB, not rounded."""
        light = self._light(values.clip(0, 1))
        return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)

    def _light(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.gamma is None:
            return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** np.float32(2.4))
        return values ** np.float32(self.gamma)

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        """The matrix from light in these primaries to light in sRGB's; white becomes white."""
        with np.errstate(all="ignore"):
            try:
                return np.linalg.solve(_to_xyz(SRGB_PRIMARIES), _to_xyz(self.primaries))
            except np.linalg.LinAlgError:
                return np.full((3, 3), np.nan)


@dataclass(frozen=True)
class ColourSignal:
    """What a file says of its colours, apart from an ICC profile."""

    text: str
    """What warnings call it."""
    space: ColourSpace | None
    """What it means; None where it has no way to sRGB that all agree on, such as HDR."""
    over_icc: bool = False
    """Whether it counts more than an ICC profile in the same file."""


def calibrated_signal(text: str, gamma: float | None, primaries: Chromaticities | None) -> ColourSignal:
    """Return what primaries and a gamma say, either of which may be missing.

    Args:
        text: What warnings call them.
        gamma: The power to which a number is light; near 2.2 the curve is that of sRGB.
        primaries: Of white, red, green and blue.
    """
    try:
        if gamma is not None and abs(2.2 / gamma - 1) <= _NEAR:
            gamma = None
        return ColourSignal(text, ColourSpace(primaries or SRGB_PRIMARIES, gamma))
    except (ValueError, ZeroDivisionError):
        return ColourSignal(f"{text} (which no colours can have)", None)


def code_point_signal(source: str, primaries: int, transfer: int, over_icc: bool = False) -> ColourSignal | None:
    """Return what code points of ITU-T H.273 say, or None where they say nothing.

    Args:
        source: What has them in a file, such as nclx.
        primaries: The code point of the primaries.
        transfer: The code point of the curve.
        over_icc: Whether they count more than an ICC profile.
    """
    if primaries in _UNSPECIFIED and transfer in _UNSPECIFIED:
        return None
    name, chromaticities = _PRIMARIES.get(1 if primaries in _UNSPECIFIED else primaries, ("", None))
    words = [f"{name} primaries" if name else f"unknown primaries {primaries}"]
    if transfer in _GAMMAS:
        words.append("linear light" if transfer == 8 else f"gamma {_GAMMAS[transfer]}")
    elif transfer not in _LIKE_SRGB | _UNSPECIFIED:
        words.append(_OTHER_CURVES.get(transfer, f"an unknown curve {transfer}"))
        chromaticities = None
    space = None if chromaticities is None else ColourSpace(chromaticities, _GAMMAS.get(transfer))
    return ColourSignal(f"{source} ({', '.join(words)})", space, over_icc)


def _srgb_levels(light: NDArray[np.float32]) -> Pixels:
    """Return light, of which 0 to 1 can be shown, as levels of sRGB."""
    steps = (light.clip(0, 1) * np.float32(_STEPS) + np.float32(0.5)).astype(np.uint16)
    levels: Pixels = _LEVELS[steps]
    return levels


def _level_table() -> Pixels:
    light = np.arange(_STEPS + 1) / _STEPS
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    table: Pixels = np.rint(255 * values).astype(np.uint8)
    return table


_LEVELS = _level_table()


def _to_xyz(primaries: Chromaticities) -> NDArray[Any]:
    """Return the matrix from light in some primaries to XYZ, as seen by an eye that is used to D65."""
    columns = np.array([_xyz(*primaries[place : place + 2]) for place in (2, 4, 6)]).T
    white, target = _xyz(*primaries[:2]), _xyz(*D65)
    scaled = columns * np.linalg.solve(columns, white)
    seen = np.diag((_BRADFORD @ target) / (_BRADFORD @ white))
    adapted: NDArray[Any] = np.linalg.solve(_BRADFORD, seen @ _BRADFORD @ scaled)
    return adapted


def _xyz(x: float, y: float) -> NDArray[Any]:
    """Return the direction of a chromaticity in XYZ, with Y = 1 where it has any."""
    return np.array([x, y, 1 - x - y]) / (y or 1.0)


ADOBE_RGB = ColourSpace((*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256)
ROMM_RGB = ColourSpace((0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), 1.8)
"""ROMM RGB, which is also called ProPhoto RGB."""
