"""Pixels: the modes that come back as they were, and those that are converted."""

from __future__ import annotations

import struct
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.image_files import SRGB, noise, png, saved
from tacit.errors import InvalidInput
from tacit.image import ConversionWarning, ImageSource, Pixels, Raster, encode_alpha, load, to_pil


def alpha_of(raster: Raster) -> Pixels:
    assert raster.alpha is not None
    return raster.alpha


@pytest.mark.parametrize(("mode", "channels"), [("L", 0), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
@settings(max_examples=10, deadline=None)
@given(width=st.integers(1, 70), height=st.integers(1, 70), seed=st.integers(0, 99))
def test_kept_modes_come_back_equal(mode: str, channels: int, width: int, height: int, seed: int) -> None:
    image = Image.fromarray(noise(height, width, *([channels] if channels else []), seed=seed))
    assert image.mode == mode
    for source in (image, saved(image)):
        raster = load(source)
        assert (raster.width, raster.height, raster.mode) == (width, height, mode)
        back = to_pil(raster)
        assert (back.mode, back.size, back.tobytes()) == (mode, image.size, image.tobytes())


def test_pixels_of_several_strips_come_back_equal() -> None:
    array = noise(1 << 11, 700, 4)  # 1.4 megapixels: more than one strip, the last one shorter
    raster = load(Image.fromarray(array))
    assert np.array_equal(raster.pixels, array[..., :3])
    assert np.array_equal(alpha_of(raster), array[..., 3])


def test_opaque_alpha_is_kept() -> None:
    raster = load(Image.new("RGBA", (3, 2), (1, 2, 3, 255)))
    assert raster.mode == "RGBA"
    assert encode_alpha(alpha_of(raster)) == b"\0\xff"


@pytest.mark.parametrize(
    ("mode", "colour", "kept_mode", "kept"),
    [
        ("1", 1, "L", 255),
        ("RGBX", (1, 2, 3, 9), "RGB", (1, 2, 3)),
        ("RGBa", (50, 100, 0, 128), "RGBA", (99, 199, 0, 128)),
        ("La", (50, 128), "LA", (99, 128)),
    ],
)
def test_exact_conversions_do_not_warn(
    mode: str, colour: float | tuple[int, ...], kept_mode: str, kept: object
) -> None:
    image = to_pil(load(Image.new(mode, (2, 2), colour)))
    assert image.mode == kept_mode
    assert image.getpixel((1, 1)) == kept


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    return image


@pytest.mark.parametrize(
    ("transparency", "alpha"), [(None, None), (1, [255, 0, 255]), (b"\x00\x80\xff", [0, 128, 255])]
)
@pytest.mark.parametrize("form", ["memory", "PNG"])
def test_palette(form: str, transparency: object, alpha: list[int] | None) -> None:
    image = palette_image()
    if transparency is not None:
        image.info["transparency"] = transparency
    raster = load(image if form == "memory" else saved(image))
    assert raster.pixels[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert (None if raster.alpha is None else raster.alpha[0].tolist()) == alpha


def test_palette_with_alpha_channel() -> None:
    image = palette_image().convert("PA")
    image.putalpha(Image.fromarray(np.array([[1, 2, 3]], np.uint8)))
    raster = load(image)
    assert raster.pixels[0, 2].tolist() == [70, 80, 90]
    assert alpha_of(raster)[0].tolist() == [1, 2, 3]


def test_gif() -> None:
    raster = load(saved(palette_image(), "GIF", transparency=0))
    assert raster.pixels[0, 1:].tolist() == [[40, 50, 60], [70, 80, 90]]
    assert alpha_of(raster)[0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("mode", "colours", "transparent"),
    [("1", [0, 255], 255), ("L", [7, 9], 9), ("RGB", [(1, 2, 3), (4, 5, 6)], (4, 5, 6))],
)
def test_transparent_colour(mode: str, colours: list[int] | list[tuple[int, ...]], transparent: object) -> None:
    image = Image.new(mode, (2, 1))
    image.putdata(colours)
    raster = load(saved(image, transparency=transparent))
    assert alpha_of(raster).tolist() == [[255, 0]]
    assert raster.pixels.reshape(2, -1).tolist() == np.array(colours).reshape(2, -1).tolist()


def test_cmyk_without_profile() -> None:
    image = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    with pytest.warns(ConversionWarning, match="CMYK is converted to RGB"):
        raster = load(image)
    assert raster.pixels[0, 0].tolist() == [0, 255, 255]


def test_cmyk_with_unusable_profile_is_converted_without_it() -> None:
    image = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    image.info["icc_profile"] = SRGB  # not of CMYK
    with pytest.warns(ConversionWarning) as seen:
        raster = load(image)
    assert ["ICC profile cannot be used" in str(w.message) for w in seen] == [True, False]
    assert raster.pixels[0, 0].tolist() == [0, 255, 255]
    assert raster.metadata.icc is None


def cmyk_profile() -> bytes:
    """An ICC profile by which ink makes grey: lightness 100 (1 - K) (1 - (C + M + Y) / 3), corner by corner of CMYK."""
    ramp = bytes(range(256))
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = b"".join(bytes([round(255 * (1 - k) * (1 - (c + m + y) / 3)), 128, 128]) for c, m, y, k in corners)
    one = 1 << 16
    lut = b"mft1\0\0\0\0\4\3\2\0" + struct.pack(">9I", one, 0, 0, 0, one, 0, 0, 0, one) + ramp * 4 + table + ramp * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    header = struct.pack(">I4sI4s4s4s12s4s", 144 + len(lut), b"", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"", b"acsp")
    white = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(68, b"\0") + white.ljust(60, b"\0") + tags + lut


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_cmyk_with_profile_is_converted_by_it(form: str) -> None:
    image = Image.new("CMYK", (24, 8))
    for left, ink in [(0, (0, 0, 0, 0)), (8, (0, 0, 0, 255)), (16, (255, 0, 0, 0))]:
        image.paste(ink, (left, 0, left + 8, 8))
    data = saved(image, form, icc_profile=cmyk_profile())
    with pytest.warns(ConversionWarning, match="converted to sRGB by its ICC profile"):
        raster = load(data)
    # Pillow's own rule would make the cyan (0, 255, 255); lightness 66.7 is sRGB 162.
    assert np.abs(raster.pixels[4, [4, 12, 20]].astype(int) - [[255] * 3, [0] * 3, [162] * 3]).max() <= 2
    assert raster.metadata.icc is None


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB"])
def test_other_colour_spaces(mode: str) -> None:
    plain = Image.new("RGB", (4, 3), (200, 100, 50))
    with pytest.warns(ConversionWarning, match=f"{mode} is converted to RGB"):
        raster = load(plain.convert(mode))
    assert np.abs(raster.pixels.astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF", "memory"])
def test_16_bit_grey(form: str) -> None:
    image = Image.fromarray(np.array([[0, 257, 30_000, 65_535]], np.uint16))
    source = image if form == "memory" else saved(image, form)
    with pytest.warns(ConversionWarning, match="16-bit"):
        raster = load(source)
    assert raster.pixels[0, :, 0].tolist() == [0, 1, 117, 255]


def test_16_bit_grey_with_transparent_level() -> None:
    data = png(3, 1, 16, 0, struct.pack(">3H", 5, 1000, 65_535), (b"tRNS", struct.pack(">H", 1000)))
    with pytest.warns(ConversionWarning, match="16-bit"):
        raster = load(data)
    assert alpha_of(raster).tolist() == [[255, 0, 255]]
    assert raster.pixels[..., 0].tolist() == [[0, 4, 255]]


@pytest.mark.parametrize(("colour", "channels", "mode"), [(2, 3, "RGB"), (6, 4, "RGBA")])
def test_16_bit_colour_png(colour: int, channels: int, mode: str) -> None:
    data = png(2, 1, 16, colour, struct.pack(f">{2 * channels}H", *[65_535] * channels, *[0x1234] * channels))
    with pytest.warns(ConversionWarning, match="16-bit"):
        raster = load(data)
    assert raster.mode == mode
    assert raster.pixels[0].tolist() == [[255] * 3, [0x12] * 3]


def test_16_bit_colour_png_with_transparent_colour() -> None:
    samples = struct.pack(">6H", 0x1000, 0x2000, 0x3000, 65_535, 65_535, 65_535)
    with pytest.warns(ConversionWarning, match="16-bit"):
        raster = load(png(2, 1, 16, 2, samples, (b"tRNS", struct.pack(">3H", 0x1000, 0x2000, 0x3000))))
    assert alpha_of(raster).tolist() == [[0, 255]]


def test_16_bit_colour_ppm() -> None:
    with pytest.warns(ConversionWarning, match="16-bit"):
        raster = load(b"P6 1 1 65535\n" + struct.pack(">3H", 65_535, 0, 257))
    assert raster.pixels.ravel().tolist() == [255, 0, 1]


@pytest.mark.parametrize(
    ("mode", "values", "levels", "message"),
    [
        ("I", [0, 128, 255], [0, 0, 1], "65535 as white$"),
        ("I", [0, 32_768, 65_535], [0, 128, 255], "65535 as white$"),
        ("I", [-5, 1, 70_000], [0, 0, 255], "clipping"),
        ("F", [0.0, 0.5, 1.0], [0, 128, 255], "1 as white$"),
        ("F", [0.25, 0.5, 1.4], [64, 128, 255], "1 as white, and clipping"),
        ("F", [-1.0, 1.0, 1000.0], [0, 255, 255], "clipping"),
        ("F", [float("nan"), 0.2, 1.0], [0, 51, 255], "1 as white$"),
        ("F", [0.0, 0.0, 0.0], [0, 0, 0], "1 as white$"),
    ],
)
@pytest.mark.parametrize("form", ["memory", "TIFF"])
def test_wide_grey(form: str, mode: str, values: list[float], levels: list[int], message: str) -> None:
    image = Image.fromarray(np.array([values], np.int32 if mode == "I" else np.float32))
    assert image.mode == mode
    with pytest.warns(ConversionWarning, match=message):
        raster = load(image if form == "memory" else saved(image, form))
    assert raster.pixels[0, :, 0].tolist() == levels


def test_overshoot_of_resampled_floats_stays_white() -> None:
    step = np.zeros((8, 8), np.float32)
    step[:, 4:] = 1
    image = Image.fromarray(step).resize((40, 8), Image.Resampling.LANCZOS)
    assert np.asarray(image).max() > 1.01
    with pytest.warns(ConversionWarning, match="clipping"):
        assert abs(load(image).pixels.mean() - 127.5) < 2


@pytest.mark.parametrize(
    ("mode", "values", "range_"),
    [
        ("F", [0.0, 127.6, 255.0], "0 to 1, got up to 255$"),
        ("I", [7, 1 << 20, 1 << 24], "0 to 65535, got up to 1.67772e"),
    ],
)
def test_numbers_of_another_scale_are_refused(mode: str, values: list[float], range_: str) -> None:
    image = Image.fromarray(np.array([values], np.int32 if mode == "I" else np.float32))
    with pytest.raises(InvalidInput, match=f"image of mode {mode} must have values from {range_}"):
        load(image)


@pytest.mark.parametrize("level", [0, 100, 255, 30_000])
def test_16_bit_grey_is_the_same_in_every_format(level: int) -> None:
    samples = np.full((2, 3), level, np.uint16)
    image = Image.fromarray(samples)
    sources: list[ImageSource] = [
        *(image, image.convert("I"), samples, saved(image), saved(image, "TIFF"), saved(image, "JPEG2000")),
        b"P5 3 2 65535\n" + samples.astype(">u2").tobytes(),
        b"P2 3 2 65535\n" + f"{level} ".encode() * 6,
    ]
    for source in sources:
        with pytest.warns(ConversionWarning):
            assert (load(source).pixels == round(level * 255 / 65535)).all()


def grey_tiff(depth: int, samples: bytes, *, kind: int = 1, photometric: int = 1, order: str = "<") -> bytes:
    """A TIFF of two grey pixels, of a kind that Pillow cannot write."""
    tags = [(256, 2), (257, 1), (258, depth), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 1)]
    tags += [(279, len(samples)), (339, kind)]
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    place = 8 + len(samples.ljust(8, b"\0"))
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, place)
    return start + samples.ljust(8, b"\0") + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("data", "levels"),
    [
        (grey_tiff(12, bytes([0x80, 0x0F, 0xFF])), [128, 255]),  # 0x800, 0xFFF
        (grey_tiff(16, struct.pack("<hh", 8192, 32_767), kind=2), [64, 255]),
        (grey_tiff(16, struct.pack(">hh", 8192, 32_767), kind=2, order=">"), [64, 255]),
        (grey_tiff(32, struct.pack("<II", 1 << 31, (1 << 32) - 1)), [128, 255]),
        (grey_tiff(16, struct.pack("<HH", 0, 65_535), photometric=0), [255, 0]),
        (grey_tiff(32, struct.pack("<ff", 0.5, 1.2), kind=3, photometric=0), [127, 0]),
    ],
)
def test_declared_depth_of_tiff(data: bytes, levels: list[int]) -> None:
    with pytest.warns(ConversionWarning):
        assert load(data).pixels.ravel().tolist() == levels


@pytest.mark.parametrize("kind", ["u2", "f2", "f4", "f8"])
def test_arrays_of_either_byte_order(kind: str) -> None:
    values = np.array([[0.0, 0.25, 1.0]]) * (65_535 if kind == "u2" else 1)
    for order in "<>":
        with nullcontext() if kind != "u2" else pytest.warns(ConversionWarning, match="16-bit"):
            assert load(values.astype(order + kind)).pixels.ravel().tolist() == [0, 64, 255]


def test_other_samples_of_arrays() -> None:
    assert load(np.array([[True, False]])).pixels.ravel().tolist() == [255, 0]
    with pytest.warns(ConversionWarning, match="16-bit"):
        assert load(np.array([[0, 129, 65_535]], np.uint16)).pixels.ravel().tolist() == [0, 1, 255]
    assert load(np.array([[-0.0005, 1.0005]])).pixels.ravel().tolist() == [0, 255]
