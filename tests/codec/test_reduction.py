"""`max_side`: images that are decoded to a smaller size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.codec_files import XMP
from support.pictures import synthetic
from support.small_models import with_small_synthesis
from tacit import container
from tacit.codec import Codec
from tacit.codec.decoding import FileDecoding
from tacit.codec.reduction import decode_reduced, reduced_size
from tacit.engine.schedule import LatentCoding
from tacit.errors import CorruptFile, InvalidInput
from tacit.image.psnr import psnr

Picture = Callable[..., Image.Image]


@pytest.fixture(scope="module")
def small_codec(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """A codec of the small tacit-s, with a small synthesis of no use."""
    return Codec(with_small_synthesis(tiny_weights, tmp_path_factory.mktemp("small")), precision="fp32")


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How many groups are decoded in each call."""
    counts: list[int | None] = []
    own = LatentCoding.decompress

    def noted(self: LatentCoding, *arguments: object) -> np.ndarray:
        counts.append(arguments[4] if len(arguments) > 4 else None)  # type: ignore[arg-type]
        return own(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LatentCoding, "decompress", noted)
    return counts


@pytest.mark.parametrize(
    ("width", "height", "side", "expected"),
    [
        (768, 512, 256, (256, 171)),
        (512, 768, 256, (171, 256)),
        (100, 50, 100, (100, 50)),
        (100, 50, 1000, (100, 50)),
        (3000, 1, 10, (10, 1)),
    ],
)
def test_sizes(width: int, height: int, side: int, expected: tuple[int, int]) -> None:
    assert reduced_size(width, height, side) == expected


@pytest.mark.parametrize(("side", "message"), [(0, "at least 1, got 0"), (1.5, "whole number, got 1.5")])
def test_what_no_side_is(codec: Codec, picture: Picture, side: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        codec.decode(codec.encode(picture(16, 16)), max_side=side)


def test_without_a_small_synthesis_the_whole_image_is_shrunk(codec: Codec, picture: Picture) -> None:
    image = picture(80, 48)
    image.info["xmp"] = XMP
    data = codec.encode(image)
    whole, small = codec.decode(data), codec.decode(data, max_side=20)
    assert small.size == (20, 12)
    assert small.info == whole.info
    assert "xmp" in small.info
    assert np.array_equal(np.asarray(small), np.asarray(whole.resize((20, 12), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize(
    ("side", "count"),
    [(100, None), (64, None), (33, None), (32, 2), (9, 2), (1, 2)],
)
def test_from_half_the_size_on_the_first_groups_are_enough(
    small_codec: Codec, picture: Picture, groups: list[int | None], side: int, count: int | None
) -> None:
    data = small_codec.encode(picture(64, 40))
    groups.clear()
    image = small_codec.decode(data, max_side=side)
    assert image.size == reduced_size(64, 40, side)
    assert groups == [count]


def test_the_first_groups_are_those_of_the_whole_file(small_codec: Codec, picture: Picture) -> None:
    data = small_codec.encode(picture(70, 50), quality_map=np.array([[5, -5]], np.int8))
    model = small_codec._for_file(container.read(data).header)
    assert model.small is not None
    decoding = FileDecoding(container.read(data), model.small)
    decode_reduced(decoding, 8, (8, 6), salvage=False)
    assert np.array_equal(decoding.values, small_codec.latents(data)[:32])


def test_no_seam_shows_between_tiles(small_codec: Codec, picture: Picture) -> None:
    data = small_codec.encode(picture(1100, 24), quality=80)
    file = container.read(data)
    small = small_codec._for_file(file.header).small
    assert small is not None
    decoding = FileDecoding(file, small)
    raster = decode_reduced(decoding, 4, (275, 6), salvage=False)
    (whole,) = small.reduced(decoding.values[None], 80.0, 4)
    assert np.abs(raster.pixels.astype(np.int16) - whole[:6, :275]).max() <= 1


def test_a_box_is_that_part_of_the_image(small_codec: Codec, picture: Picture, groups: list[int | None]) -> None:
    data = small_codec.encode(picture(160, 128), quality=90)
    whole = np.asarray(small_codec.decode(data, max_side=40), np.float64)
    groups.clear()
    part = np.asarray(small_codec.decode(data, box=(20, 36, 116, 124), max_side=24), np.float64)
    assert groups == [2]
    assert part.shape == (22, 24, 3)
    assert np.abs(part[1:-1, 1:-1] - whole[10:30, 6:28]).max() <= 3


def test_grey_images_and_constant_alpha(small_codec: Codec, picture: Picture, groups: list[int | None]) -> None:
    grey = small_codec.decode(small_codec.encode(picture(64, 64, "L")), max_side=16)
    assert (grey.mode, grey.size) == ("L", (16, 16))
    image = picture(64, 64)
    image.putalpha(77)
    half = small_codec.decode(small_codec.encode(image), max_side=16)
    assert (half.mode, half.getchannel("A").getextrema()) == ("RGBA", (77, 77))
    assert [count for count in groups if count is not None] == [2, 2]


def test_transparency_that_varies_takes_the_whole_image(
    small_codec: Codec, picture: Picture, groups: list[int | None]
) -> None:
    data = small_codec.encode(picture(64, 64, "RGBA"))
    image = small_codec.decode(data, max_side=16)
    assert groups[-1] is None
    assert np.array_equal(np.asarray(image), np.asarray(small_codec.decode(data).resize((16, 16), 3, reducing_gap=3.0)))


def test_damage_and_missing_ends(small_codec: Codec, picture: Picture) -> None:
    data = small_codec.encode(picture(1100, 32), quality=90)
    cut = data[: len(data) * 3 // 4]
    with pytest.raises(CorruptFile):
        small_codec.decode(cut, max_side=64)
    assert small_codec.decode(cut, max_side=64, partial=True).size == (64, 2)
    damaged = bytearray(data)
    damaged[-9] ^= 1
    with pytest.raises(CorruptFile):
        small_codec.decode(bytes(damaged), max_side=64)
    with pytest.warns(UserWarning, match="lost|damaged|checksum"):
        assert small_codec.decode(bytes(damaged), max_side=64, salvage=True).size == (64, 2)


@pytest.mark.parametrize("quality", [10, 80])
def test_thumbnails_of_the_model_in_the_package_look_like_the_image(shipped_codec: Codec, quality: float) -> None:
    data = shipped_codec.encode(synthetic(256, 192), quality=quality)
    whole = shipped_codec.decode(data)
    for side in (128, 64, 32):
        wanted = np.asarray(whole.resize((side, side * 3 // 4), Image.Resampling.BICUBIC))
        assert psnr(np.asarray(shipped_codec.decode(data, max_side=side)), wanted) > 30
