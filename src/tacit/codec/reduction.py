"""Images that are decoded to a smaller size, of their first latents: thumbnails."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from tacit.codec.decoding import FileDecoding, decode_regions
from tacit.codec.model import SmallModel
from tacit.codec.synthesis import Latents
from tacit.container import Container
from tacit.container.payloads.alpha import CONSTANT
from tacit.entropy.units import LATENT_STEP
from tacit.image import Raster, without_thumbnails

Size = tuple[int, int]
"""A width and a height in pixels."""


def reduced_size(width: int, height: int, max_side: int) -> Size:
    """Return the size of an image whose longer side has at most `max_side` pixels; it is never enlarged."""
    longer = max(width, height)
    if longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def choose_factor(small: SmallModel | None, file: Container, width: int, height: int, size: Size) -> int | None:
    """Return how much smaller than a part of an image it is decoded; None to decode all of it.

    The result has at least the pixels that are wanted. An image whose transparency varies is decoded whole: colours
    that nobody sees must not be mixed into those beside them.

    Args:
        small: What makes reduced images; None if there is nothing.
        file: The file.
        width: Of the part.
        height: Of the part.
        size: What is wanted of it.
    """
    if small is None or (file.header.alpha and (file.alpha is None or file.alpha[:1] != bytes([CONSTANT]))):
        return None
    room = max(width, height) // max(size)
    return max((factor for factor in small.factors if factor <= room), default=None)


def shrink(image: Image.Image, size: Size) -> Image.Image:
    """Return a decoded image in a smaller size, with the same metadata."""
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def decode_reduced(decoding: FileDecoding[SmallModel], factor: int, size: Size, salvage: bool) -> Raster:
    """Return an image in a smaller size, of the first latents of a file.

    Args:
        decoding: The file, its box and the model.
        factor: How much smaller the image is made, at most as much as the size is.
        size: The size that it is then shrunk to.
        salvage: Whether damaged regions are left out, with lines in the decoding's `damage`, instead of an error.

    Raises:
        CorruptFile: A region is damaged.
    """
    decode_regions([decoding], salvage=salvage)
    left, top, right, bottom = decoding.box
    outer = (
        left // LATENT_STEP * LATENT_STEP,
        top // LATENT_STEP * LATENT_STEP,
        math.ceil(right / LATENT_STEP) * LATENT_STEP,
        math.ceil(bottom / LATENT_STEP) * LATENT_STEP,
    )
    pixels = _paint(replace(decoding.latents(), box=outer), decoding.model, factor)
    grey = pixels.shape[2] == 1
    part = (
        (left - outer[0]) / factor,
        (top - outer[1]) / factor,
        (right - outer[0]) / factor,
        (bottom - outer[1]) / factor,
    )
    image = Image.fromarray(pixels[..., 0] if grey else pixels).resize(size, Image.Resampling.BICUBIC, box=part)
    alpha = decoding.alpha(salvage)
    return Raster(
        np.asarray(image).reshape(size[1], size[0], 1 if grey else 3),
        None if alpha is None else np.full((size[1], size[0]), alpha[0, 0]),
        without_thumbnails(decoding.file.metadata),
    )


def _paint(latents: Latents, model: SmallModel, factor: int) -> np.ndarray:
    """Return a reduced image [H / factor, W / factor, 1 or 3] uint8 of a box of whole latents."""
    left, top, right, bottom = latents.box
    color = latents.header.color
    canvas = np.empty(((bottom - top) // factor, (right - left) // factor, 3 if color else 1), np.uint8)
    for tile in latents.tiles(model.synthesis_reach):
        levels = model.reduced(tile.latents[None], tile.quality, factor, color=color)[0]
        row, column, height, width, top, left = (
            value // factor for value in (tile.row, tile.column, tile.height, tile.width, tile.top, tile.left)
        )
        canvas[top : top + height, left : left + width] = levels[row : row + height, column : column + width]
    return canvas
