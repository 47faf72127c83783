"""A picture of where the bits of a file go, without the caption and with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tacit.codec import Codec
from tacit.image import ImageSource, load

WIDTH, GAP, TITLE, SCALE = 480, 12, 44, 40  # pixels: of a panel, between panels, above and below
AMOUNT = ("#0b0b16", "#3b1f6b", "#a02c6b", "#ee6a3c", "#fcd667", "#fdfde6")  # dark to light, rising in lightness
CHANGE = ("#0b5fa5", "#7ab5dd", "#f6f6f4", "#efa27a", "#b3481c")  # fewer, equal, more


@dataclass(frozen=True)
class _Panel:
    """colours: of its scale, from `low` to `high`; none for a photo."""

    title: str
    figure: str
    picture: Image.Image
    colours: tuple[str, ...] = ()
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class BitMaps:
    """Bits per pixel of each 16x16 pixels [ceil(H/16), ceil(W/16)], without the caption and with it."""

    photo: np.ndarray
    without: np.ndarray
    told: np.ndarray | None
    caption: str | None


def bit_maps(codec: Codec, image: ImageSource, caption: str | None, quality: float | None) -> BitMaps:
    """Raises: as `Codec.bit_map`."""
    pixels = load(image).pixels
    height, width = pixels.shape[:2]
    area = np.outer(_extents(height), _extents(width))
    without = codec.bit_map(pixels, None, quality) / area
    told = None if caption is None else codec.bit_map(pixels, caption, quality) / area
    return BitMaps(pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2), without, told, caption)


def _extents(pixels: int) -> np.ndarray:
    """Pixels that each latent along a side is for."""
    return np.diff(np.append(np.arange(0, pixels, 16), pixels))


def draw(maps: BitMaps) -> Image.Image:
    """The photo, the map without a caption, that with it, and their difference, each with its scale, in bits per
    pixel."""
    height, width = maps.photo.shape[:2]
    size = (WIDTH, max(1, round(WIDTH * height / width)))
    panels = [_Panel("the photo", "", Image.fromarray(maps.photo).resize(size, Image.Resampling.LANCZOS))]
    shown = [maps.without] if maps.told is None else [maps.without, maps.told]
    most = max(float(np.quantile(m, 0.995)) for m in shown) or 1.0
    for title, values in zip(("no caption", "with the caption"), shown, strict=False):
        picture = _coloured(values / most, AMOUNT, size, (height, width))
        panels.append(_Panel(title, f"{_mean(values, height, width):.4f} bpp", picture, AMOUNT, "0", f"{most:.2g} bpp"))
    if maps.told is not None:
        change = maps.told - maps.without
        edge = float(np.quantile(np.abs(change), 0.995)) or 1.0
        picture = _coloured(change / edge / 2 + 0.5, CHANGE, size, (height, width))
        mean = f"{_mean(change, height, width):+.4f} bpp"
        panels.append(_Panel("what the caption changes", mean, picture, CHANGE, f"{-edge:.2g}", f"{edge:+.2g} bpp"))
    return _composed(panels, size, maps.caption)


def _mean(values: np.ndarray, height: int, width: int) -> float:
    """Over the pixels, of values of each 16x16 of them."""
    return float((values * np.outer(_extents(height), _extents(width))).sum() / (height * width))


def _coloured(
    values: np.ndarray, colours: tuple[str, ...], size: tuple[int, int], photo: tuple[int, int]
) -> Image.Image:
    """values [h, w], 0 to 1 -> a picture of `size`, each value a square of 16x16 pixels of the photo."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    at = np.linspace(0, 1, len(colours))
    clipped = np.clip(values, 0, 1)
    rgb = np.stack([np.interp(clipped, at, stops[:, channel]) for channel in range(3)], axis=-1).round()
    squares = rgb.astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)[: photo[0], : photo[1]]
    return Image.fromarray(squares).resize(size, Image.Resampling.NEAREST)


def _composed(panels: list[_Panel], size: tuple[int, int], caption: str | None) -> Image.Image:
    width, height = size
    below = SCALE + (28 if caption else 8)
    canvas = Image.new("RGB", (len(panels) * (width + GAP) + GAP, TITLE + height + below), "white")
    pen = ImageDraw.Draw(canvas)
    bold, plain = ImageFont.load_default(18), ImageFont.load_default(14)
    for i, panel in enumerate(panels):
        left = GAP + i * (width + GAP)
        pen.text((left, 12), panel.title, fill="#1c1d20", font=bold)
        pen.text((left + width, 16), panel.figure, fill="#63656b", font=plain, anchor="ra")
        canvas.paste(panel.picture, (left, TITLE))
        if panel.colours:
            bar = _coloured(np.linspace(0, 1, 120)[None], panel.colours, (width, 12), (16, 1920))
            canvas.paste(bar, (left, TITLE + height + 8))
            pen.text((left, TITLE + height + 22), panel.low, fill="#63656b", font=plain)
            pen.text((left + width, TITLE + height + 22), panel.high, fill="#63656b", font=plain, anchor="ra")
    if caption:
        text = " ".join(caption.split())
        room = canvas.width - 2 * GAP
        if plain.getlength(text) > room:
            while text and plain.getlength(f"{text}...") > room:
                text = text[:-1]
            text = f"{text.rstrip()}..."
        pen.text((GAP, canvas.height - 24), text, fill="#1c1d20", font=plain)
    return canvas
