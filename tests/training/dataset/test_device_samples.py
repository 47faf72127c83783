"""Samples that are drawn on the device: crops of the images, their own captions, and qualities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tacit.errors import InvalidInput
from tacit.text.tokens import TextTokens
from tacit.training.config import DataConfig
from tacit.training.dataset.device_samples import DeviceSamples
from tacit.training.dataset.pool import ImagePool
from tacit.training.dataset.token_cache import TokenCache

CPU = torch.device("cpu")


class NumberTokens(TokenCache):
    """Gives a caption `n` n tokens whose embeddings are all n."""

    def __init__(self) -> None:
        super().__init__("embedded", 4)

    def __call__(self, captions: Sequence[str | None]) -> TextTokens:
        (caption,) = captions
        number = int(caption or 0)
        return TextTokens(
            torch.full((1, number, 4), float(number)), torch.ones(1, number, dtype=torch.bool), torch.ones(1, number)
        )


def ramp(height: int, width: int, blue: int) -> np.ndarray:
    """Return an image whose red and green are its row and column, and whose blue is its number."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, np.full_like(rows, blue)], axis=2).astype(np.uint8)


def drawn(captions: Sequence[tuple[str, ...]], **options: object) -> DeviceSamples:
    shapes = ((70, 200), (130, 90), (40, 300))  # the last is smaller than a crop
    images = [(ramp(*shape, number), captions[number]) for number, shape in enumerate(shapes)]
    data = DataConfig(batch=60, crop=64, **options)  # type: ignore[arg-type]
    return DeviceSamples(ImagePool.of(images), data, NumberTokens(), CPU)


def test_crops_are_whole_parts_of_an_image_mirrored_or_not() -> None:
    torch.manual_seed(0)
    pixels = drawn([(), (), ()]).draw().pixels.int()
    assert pixels.shape == (60, 3, 64, 64)
    assert set(pixels[:, 2].unique().tolist()) == {0, 1}  # never the small one
    assert (pixels[:, 2] == pixels[:, 2, :1, :1]).all()
    assert (pixels[:, 0].diff(dim=1) == 1).all()
    across = pixels[:, 1].diff(dim=2)
    assert (across == across[:, :1, :1]).all()
    assert set(across.unique().tolist()) == {-1, 1}
    assert len(pixels[:, 0, 0, 0].unique()) > 10


@pytest.mark.parametrize("by_area", [False, True])
def test_images_are_drawn_by_their_area_or_alike(by_area: bool) -> None:
    torch.manual_seed(0)
    samples = drawn([(), (), ()], by_area=by_area)
    blue = torch.cat([samples.draw().pixels[:, 2, 0, 0] for _ in range(30)]).float()
    expected = 130 * 90 / (130 * 90 + 70 * 200) if by_area else 0.5
    assert abs(float(blue.mean()) - expected) < 0.03


def test_captions_are_those_of_the_image() -> None:
    torch.manual_seed(0)
    samples = drawn([("3", "5"), (), ("2",)], caption_dropout=0.25)
    lengths: dict[int, list[int]] = {0: [], 1: []}
    for _ in range(5):
        batch = samples.draw()
        for image, embeddings, mask, weights in zip(
            batch.pixels[:, 2, 0, 0].tolist(),
            batch.tokens.embeddings,
            batch.tokens.mask,
            batch.tokens.weights,
            strict=True,
        ):
            count = int(mask.sum())
            assert mask[:count].all()
            assert (embeddings[mask] == count).all()
            assert (embeddings[~mask] == 0).all()
            assert (weights == 1).all()
            lengths[image].append(count)
    assert set(lengths[1]) == {0}
    assert set(lengths[0]) == {0, 3, 5}
    assert abs(lengths[0].count(0) / len(lengths[0]) - 0.25) < 0.12


def test_qualities_are_numbers_or_maps() -> None:
    torch.manual_seed(0)
    plain = drawn([(), (), ()]).draw().quality
    assert plain.shape == (60,)
    assert 0 <= plain.min() < 20
    assert 80 < plain.max() <= 100
    maps = drawn([(), (), ()], quality_maps=1.0).draw().quality
    assert maps.shape == (60, 4, 4)


def test_images_that_are_all_too_small_are_refused() -> None:
    pool = ImagePool.of([(ramp(40, 300, 0), ())])
    with pytest.raises(InvalidInput, match="no image has 64 pixels or more"):
        DeviceSamples(pool, DataConfig(crop=64), NumberTokens(), CPU)
