"""Primaries and curves become sRGB as others compute it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from support.image_files import noise, profile
from tacit.image.colours import SRGB_PRIMARIES, ColourSpace, code_point_signal
from tacit.image.icc import as_srgb, profile_says

ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def space_of(code: int) -> ColourSpace:
    signal = code_point_signal("nclx", code, 13)
    assert signal is not None
    assert signal.space is not None
    return signal.space


def test_matches_littlecms() -> None:
    image = Image.fromarray(noise(64, 64, 3))
    image.info["icc_profile"] = profile("RGB ", 2.2)
    levels = ColourSpace(ADOBE, 563 / 256).levels(np.asarray(image))
    difference = np.abs(levels.astype(int) - np.asarray(as_srgb(image)))
    assert difference.max() <= 4
    assert difference.mean() < 0.5
    assert profile_says(profile("RGB ", 2.2), ColourSpace(ADOBE, 563 / 256))
    assert not profile_says(profile("RGB ", 2.2), ColourSpace())


# From light in other primaries to light in sRGB's: CSS Color 4 (P3), ITU-R BT.2087 (BT.2020).
MATRICES = {
    12: [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
    9: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
}


@pytest.mark.parametrize("code", MATRICES)
def test_published_matrices(code: int) -> None:
    levels = noise(64, 64, 3)
    values = levels / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    light = (light @ np.array(MATRICES[code]).T).clip(0, 1)
    expected = np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))
    assert np.abs(space_of(code).levels(levels) - expected).max() <= 1


@pytest.mark.parametrize("code", [4, 5, 6, 7, 8, 9, 10, 11, 12, 22])
def test_greys_stay_grey(code: int) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    assert np.abs(space_of(code).levels(ramp).astype(int) - ramp).max() <= 1


def test_curve_of_greys() -> None:
    space = ColourSpace(gamma=1.0)
    ramp = np.arange(256, dtype=np.uint8)[None, :, None]
    levels = space.levels(ramp)
    assert levels[0, [0, 1, 55, 128, 255], 0].tolist() == [0, 13, 128, 188, 255]
    assert np.array_equal(
        levels, np.rint(255 * space.greys(ramp.astype(np.float32) / np.float32(255))).astype(np.uint8)
    )
    assert np.array_equal(space.levels(ramp.repeat(3, 2)), levels.repeat(3, 2))


def test_srgb_is_known() -> None:
    assert ColourSpace().is_srgb
    assert ColourSpace((0.31270, 0.32900, 0.6400, 0.3300, 0.3000, 0.6001, 0.1500, 0.0600)).is_srgb
    assert not ColourSpace(gamma=2.2).is_srgb
    assert not ColourSpace(ADOBE).is_srgb


@pytest.mark.parametrize("transfer", [1, 2, 6, 13, 14, 15])
def test_curves_that_viewers_take_as_srgb(transfer: int) -> None:
    signal = code_point_signal("nclx", 1, transfer)
    assert signal is not None
    assert signal.space == ColourSpace()


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        ((9, 16), "BT.2020 primaries, PQ (HDR)"),
        ((9, 18), "BT.2020 primaries, HLG (HDR)"),
        ((1, 99), "BT.709 primaries, an unknown curve 99"),
        ((99, 13), "unknown primaries 99"),
    ],
)
def test_what_has_no_way_to_srgb(codes: tuple[int, int], text: str) -> None:
    signal = code_point_signal("cICP", *codes)
    assert signal is not None
    assert signal.space is None
    assert signal.text == f"cICP ({text})"


def test_unspecified_says_nothing() -> None:
    assert code_point_signal("nclx", 2, 2) is None


@pytest.mark.parametrize(
    "primaries",
    [SRGB_PRIMARIES[:2] + (0.3, 0.3) * 3, (0.3127, 0.329, 0.64, 0.33, 0.64, 0.33, 0.15, 0.06), (float("nan"),) * 8],
)
def test_primaries_that_span_nothing(primaries: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="primaries must span"):
        ColourSpace(primaries)


def test_gamma_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"gamma must be 0\.1 to 10, got 1000"):
        ColourSpace(gamma=1000)
