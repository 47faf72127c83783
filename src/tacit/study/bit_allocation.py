"""The bit allocation of an image, drawn: where the bits of its file go, without the caption and with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tacit.codec import Codec
from tacit.image import ImageSource, load

STRIDE = 16  # pixels that one latent stands for, along each side
PANEL_WIDTH, GAP, TITLE_HEIGHT, SCALE_HEIGHT = 480, 12, 44, 40  # pixels of the drawing
AMOUNT_COLOURS = ("#0b0b16", "#3b1f6b", "#a02c6b", "#ee6a3c", "#fcd667", "#fdfde6")  # dark to light
CHANGE_COLOURS = ("#0b5fa5", "#7ab5dd", "#f6f6f4", "#efa27a", "#b3481c")  # fewer bits, equal, more


@dataclass(frozen=True)
class BitAllocation:
    """Where the bits of an image's file go, without the caption and with it."""

    pixels: np.ndarray
    """The image, uint8 [H, W, 3]."""
    without_caption: np.ndarray
    """Bits per pixel of each 16x16 pixels, [ceil(H/16), ceil(W/16)]."""
    with_caption: np.ndarray | None
    """The same with the caption; None if there is none."""
    caption: str | None
    """The caption."""


def bit_allocation(codec: Codec, image: ImageSource, caption: str | None, quality: float | None) -> BitAllocation:
    """Return where the bits of an image's file go.

    Args:
        codec: The codec that encodes the image.
        image: The image.
        caption: The caption to compare with none; None to leave out the comparison.
        quality: The quality, 0 to 100; None for the codec's default.

    Raises:
        InvalidInput: The image, the caption or the quality cannot be used.
        PathError: The image's file cannot be read.
    """
    pixels = load(image).pixels
    height, width = pixels.shape[:2]
    area = np.outer(_extents(height), _extents(width))
    without_caption = codec.bit_map(pixels, None, quality) / area
    with_caption = None if caption is None else codec.bit_map(pixels, caption, quality) / area
    rgb = pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
    return BitAllocation(rgb, without_caption, with_caption, caption)


def _extents(pixels: int) -> np.ndarray:
    """Return how many pixels each latent along a side stands for; the last may stand for fewer than 16."""
    return np.diff(np.append(np.arange(0, pixels, STRIDE), pixels))


def draw(allocation: BitAllocation) -> Image.Image:
    """Draw panels side by side: the image, its bits without a caption, with the caption, and the difference.

    Without a caption there are the first two. Each map has a scale in bits per pixel.
    """
    height, width = allocation.pixels.shape[:2]
    size = (PANEL_WIDTH, max(1, round(PANEL_WIDTH * height / width)))
    image = Image.fromarray(allocation.pixels).resize(size, Image.Resampling.LANCZOS)
    panels = [_Panel(title="the image", mean="", image=image)]
    maps = [("no caption", allocation.without_caption)]
    if allocation.with_caption is not None:
        maps.append(("with the caption", allocation.with_caption))
    highest = max(float(np.quantile(values, 0.995)) for _, values in maps) or 1.0
    for title, values in maps:
        panels.append(
            _Panel(
                title=title,
                mean=f"{_mean(values, height, width):.4f} bpp",
                image=_coloured(values / highest, AMOUNT_COLOURS, size, (height, width)),
                colours=AMOUNT_COLOURS,
                low="0",
                high=f"{highest:.2g} bpp",
            )
        )
    if allocation.with_caption is not None:
        change = allocation.with_caption - allocation.without_caption
        edge = float(np.quantile(np.abs(change), 0.995)) or 1.0
        panels.append(
            _Panel(
                title="what the caption changes",
                mean=f"{_mean(change, height, width):+.4f} bpp",
                image=_coloured(change / edge / 2 + 0.5, CHANGE_COLOURS, size, (height, width)),
                colours=CHANGE_COLOURS,
                low=f"{-edge:.2g}",
                high=f"{edge:+.2g} bpp",
            )
        )
    return _compose(panels, size, allocation.caption)


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One part of the drawing: an image, or a map with its scale."""

    title: str
    mean: str
    """The mean over the map, in words."""
    image: Image.Image
    colours: tuple[str, ...] = ()
    """The colours of the map's scale, from `low` to `high`; none for an image."""
    low: str = ""
    high: str = ""


def _mean(values: np.ndarray, height: int, width: int) -> float:
    """Return the mean over pixels of values that stand for up to 16x16 pixels each."""
    return float((values * np.outer(_extents(height), _extents(width))).sum() / (height * width))


def _coloured(values: np.ndarray, colours: Sequence[str], size: tuple[int, int], shape: tuple[int, int]) -> Image.Image:
    """Draw a map as squares of 16x16 pixels of the image.

    Args:
        values: The map, [ceil(H/16), ceil(W/16)]; 0 to 1 are the first and the last of the colours.
        colours: Colours as #rrggbb, between which values are interpolated.
        size: The width and height of the drawing, in pixels.
        shape: The height and width of the image, in pixels.
    """
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    positions = np.linspace(0, 1, len(colours))
    clipped = np.clip(values, 0, 1)
    rgb = np.stack([np.interp(clipped, positions, stops[:, channel]) for channel in range(3)], axis=-1).round()
    squares = rgb.astype(np.uint8).repeat(STRIDE, axis=0).repeat(STRIDE, axis=1)[: shape[0], : shape[1]]
    return Image.fromarray(squares).resize(size, Image.Resampling.NEAREST)


def _compose(panels: Sequence[_Panel], size: tuple[int, int], caption: str | None) -> Image.Image:
    """Put the panels side by side, with their titles above, and their scales and the caption below."""
    width, height = size
    below = SCALE_HEIGHT + (28 if caption else 8)
    canvas = Image.new("RGB", (len(panels) * (width + GAP) + GAP, TITLE_HEIGHT + height + below), "white")
    pen = ImageDraw.Draw(canvas)
    bold, plain = ImageFont.load_default(18), ImageFont.load_default(14)
    for i, panel in enumerate(panels):
        left = GAP + i * (width + GAP)
        pen.text((left, 12), panel.title, fill="#1c1d20", font=bold)
        pen.text((left + width, 16), panel.mean, fill="#63656b", font=plain, anchor="ra")
        canvas.paste(panel.image, (left, TITLE_HEIGHT))
        if panel.colours:
            bar = _coloured(np.linspace(0, 1, 120)[None], panel.colours, (width, 12), (16, 1920))
            canvas.paste(bar, (left, TITLE_HEIGHT + height + 8))
            pen.text((left, TITLE_HEIGHT + height + 22), panel.low, fill="#63656b", font=plain)
            pen.text((left + width, TITLE_HEIGHT + height + 22), panel.high, fill="#63656b", font=plain, anchor="ra")
    if caption:
        text = " ".join(caption.split())
        room = canvas.width - 2 * GAP
        if plain.getlength(text) > room:
            while text and plain.getlength(f"{text}...") > room:
                text = text[:-1]
            text = f"{text.rstrip()}..."
        pen.text((GAP, canvas.height - 24), text, fill="#1c1d20", font=plain)
    return canvas
