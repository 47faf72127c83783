"""One image on its way to a file: tiles, reconstruction, quality maps, where the bits go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tacit
from support.codec_files import EXIF, WIDE, Picture, levels, psnr
from support.pictures import synthetic
from support.tiny_models import deaf, tiny_model, tiny_taco, write_weights
from tacit import container
from tacit.codec import Codec, EncodeOptions
from tacit.container import Metadata
from tacit.entropy.units import LATENT_STEP
from tacit.errors import InvalidInput
from tacit.image import load
from tacit.models.tacit_s import TacitSModel
from tacit.models.taco import TacoModel


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_model, tiny_taco])
@pytest.mark.parametrize("size", [WIDE, (70, 1100), (1030, 1030)])
def test_tiled_analysis_has_no_seam(
    make: Callable[[], TacitSModel | TacoModel], size: tuple[int, int], tmp_path: Path
) -> None:
    codec = Codec(write_weights(tmp_path / "deaf.safetensors", deaf(make())), precision="fp32")
    model = codec._model(codec.path)
    photo = load(synthetic(*size))
    job = codec._encoding(model, photo, "a dog", EncodeOptions())
    x = photo.pixels[None]
    sides = [-x.shape[axis] % model.multiple for axis in (1, 2)]
    x = np.pad(x, [(0, 0), (0, sides[0]), (0, sides[1]), (0, 0)], mode="constant" if model.published else "edge")
    whole = model.analyse(x, job.tokens)
    assert len(job.regions) > 1
    for region in job.regions:
        part = job.analyse(region)
        row, column = region.top // LATENT_STEP, region.left // LATENT_STEP
        expected = whole[:, :, row : row + part.shape[2], column : column + part.shape[3]]
        np.testing.assert_allclose(part, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("which", ["codec", "uneven_codec", "taco_codec", "taco_fixed_codec"])
@pytest.mark.parametrize(("size", "mode"), [((100, 90), "RGBA"), (WIDE, "RGB"), ((70, 1100), "L")])
def test_the_reconstruction_is_what_is_decoded(
    request: pytest.FixtureRequest, which: str, size: tuple[int, int], mode: str, picture: Picture
) -> None:
    codec: Codec = request.getfixturevalue(which)
    image = picture(*size, mode)
    image.info["exif"] = EXIF
    result = codec.encode_result(image, "a dog", reconstruct=True)
    decoded = codec.decode(result.data)
    assert result.image is not None
    assert (result.image.mode, result.image.size, result.image.info) == (mode, size, decoded.info)
    assert result.image.tobytes() == decoded.tobytes()
    colours = "L" if mode == "L" else "RGB"
    assert result.psnr == pytest.approx(psnr(image.convert(colours), decoded.convert(colours)), abs=1e-6)


@pytest.mark.parametrize("target", [{"size": 1500}, {"bpp": 1.2}, {"psnr": 24}, {"quality": 33.333}])
def test_the_reconstruction_is_that_of_the_target(
    codec: Codec, counted: dict[str, int], picture: Picture, target: dict[str, Any]
) -> None:
    image = picture(100, 90)
    result = codec.encode_result(image, **target, reconstruct=True)
    assert counted == {"analysed": 1, "decoded": 0}
    assert result.data == codec.encode(image, **target)
    assert result.image is not None
    assert result.image.tobytes() == codec.decode(result.data).tobytes()
    assert codec.encode_result(image, **target).image is None


def test_a_prepared_image_is_analysed_once(codec: Codec, counted: dict[str, int], picture: Picture) -> None:
    image = picture(*WIDE)
    prepared = codec.prepare(image, "a dog", store_caption=True)
    found = [prepared.encode(q, reconstruct=True) for q in (20, 50.5, 90)]
    found.append(prepared.encode(psnr=24))
    assert counted == {"analysed": 2, "decoded": 0}
    assert prepared.raster.pixels.shape == (WIDE[1], WIDE[0], 3)
    assert [f.data for f in found[:3]] == [codec.encode(image, "a dog", q, store_caption=True) for q in (20, 50.5, 90)]
    assert found[3].psnr is not None
    assert found[3].psnr >= 24
    assert found[3].image is None
    with pytest.raises(InvalidInput, match="got 101"):
        prepared.encode(101)


def left_half(width: int, height: int, inside: int, outside: int) -> np.ndarray:
    rows, columns = container.cells(width, height)
    found = np.full((rows, columns), outside)
    found[:, : columns // 2] = inside
    return found


@pytest.mark.parametrize("size", [(200, 130), (1100, 70)])
def test_bits_go_where_the_map_says(codec: Codec, picture: Picture, size: tuple[int, int]) -> None:
    image = picture(*size)
    offsets = left_half(*size, 40, -40)
    data = codec.encode(image, quality=50, quality_map=offsets)
    assert container.read(data).header.quality_map == offsets.astype(np.int8).tobytes()
    decoded, original = levels(codec.decode(data)), levels(image)
    middle = 64 * (offsets.shape[1] // 2)
    for columns, quality in ((slice(0, middle - 64), 90), (slice(middle + 64, None), 10)):
        alone = levels(codec.decode(codec.encode(image, quality=quality)))
        error, expected = (np.square(d[:, columns] - original[:, columns]).mean() for d in (decoded, alone))
        assert error == pytest.approx(expected, rel=0.3)
    bits = codec.bit_map(image, quality=50, quality_map=offsets)
    assert bits[:, : middle // 16].mean() > 2 * bits[:, middle // 16 :].mean()
    assert bits.sum() / 8 == pytest.approx(sum(len(r or b"") for r in container.read(data).regions), abs=20)


def test_a_map_of_zeros_is_no_map(codec: Codec, picture: Picture) -> None:
    image = picture(1100, 70)
    plain, zeros = (
        codec.encode(image, quality=50, quality_map=m, progressive=False) for m in (None, np.zeros((2, 18)))
    )
    assert container.read(plain).regions == container.read(zeros).regions
    assert np.array_equal(levels(codec.decode(plain)), levels(codec.decode(zeros)))
    assert plain[8] == 1
    assert zeros[8] == 2


def test_maps_everywhere_a_file_goes(codec: Codec, picture: Picture) -> None:
    images = [picture(200, 130), picture(1100, 70), picture(200, 130)]
    maps = [left_half(200, 130, 30, -30), left_half(1100, 70, -100, 100), None]
    files = [codec.encode(i, quality=40, quality_map=m) for i, m in zip(images, maps, strict=True)]
    whole = [levels(codec.decode(f)) for f in files]
    for one, many in zip(whole, codec.decode_batch(files), strict=True):
        assert np.abs(one - levels(many)).max() <= 1
    assert np.abs(levels(codec.decode(files[1], box=(510, 3, 1070, 60))) - whole[1][3:60, 510:1070]).max() <= 1
    result = codec.encode_result(images[0], quality=40, quality_map=maps[0], reconstruct=True)
    assert result.data == files[0]
    assert result.image is not None
    assert np.array_equal(levels(result.image), whole[0])
    for one, file in zip(whole, files, strict=True):
        raw = codec.unclamped(file).transpose(1, 2, 0).clip(0, 1) * 255
        assert np.abs(one - raw).max() < 2
    limit = len(files[0]) - 200
    small = codec.encode_result(images[0], size=limit, quality_map=maps[0])
    assert 0.95 * limit < len(small.data) <= limit
    assert tacit.info(files[0]).format_version == 3
    assert tacit.info(files[0]).quality_map_bytes > 0
    assert tacit.info(files[2]).quality_map_bytes == 0


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        (np.zeros((2, 3)), "one value for each 64x64 pixels, shape \\[3, 4\\]"),
        (np.full((3, 4), 101), "-100 to 100"),
        (np.full((3, 4), np.nan), "-100 to 100"),
        (np.zeros(12), "shape"),
    ],
)
def test_maps_that_are_none(codec: Codec, picture: Picture, offsets: np.ndarray, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        codec.encode(picture(200, 130), quality_map=offsets)


def test_weights_that_take_no_maps(taco_fixed_codec: Codec, picture: Picture) -> None:
    with pytest.raises(InvalidInput, match="take no quality map"):
        taco_fixed_codec.encode(picture(64, 64), quality_map=np.zeros((1, 1)))


@pytest.mark.parametrize("which", ["codec", "uneven_codec", "taco_codec", "taco_fixed_codec", "shipped_codec"])
@pytest.mark.parametrize("size", [(150, 100), WIDE, (3, 1)])
def test_a_bit_map_adds_up_to_the_file(
    request: pytest.FixtureRequest, which: str, size: tuple[int, int], picture: Picture
) -> None:
    codec: Codec = request.getfixturevalue(which)
    image = picture(*size)
    quality = None if which == "taco_fixed_codec" else 77.7
    found = codec.bit_map(image, "a red boat", quality)
    assert found.shape == (-(-size[1] // 16), -(-size[0] // 16))
    assert found.dtype == np.float32
    assert found.min() >= 0
    regions = container.read(codec.encode(image, "a red boat", quality)).regions
    bits = sum(8 * len(region or b"") for region in regions)
    assert found.sum() <= bits + 1
    assert bits <= found.sum() * 1.001 + 64 * len(regions)


def test_a_bit_map_shows_where(shipped_codec: Codec) -> None:
    """A flat picture with noise in one place has its bits there, in the one that is asked for."""
    pixels = np.full((256, 320, 3), 128, np.uint8)
    pixels[32:96, 192:256] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    found = shipped_codec.bit_map(pixels, quality=60)
    inside = found[2:6, 12:16].sum()
    assert inside > 0.8 * found.sum()
    assert shipped_codec.bit_map(pixels).sum() < found.sum() < shipped_codec.bit_map(pixels, quality=80).sum()


def test_results_are_what_they_say(codec: Codec, picture: Picture) -> None:
    result = codec.encode_result(picture(30, 20), "a dog")
    assert (result.quality, result.psnr, result.caption) == (50, None, "a dog")
    assert Metadata() == container.read(result.data).metadata
