"""Refined encodings: better files of the same image, whatever is asked of them."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.codec_files import Picture, psnr
from support.pictures import synthetic
from tacit import cli, weights
from tacit import image as images
from tacit.codec import Codec, EncodeOptions
from tacit.codec.encoding import ImageEncoding
from tacit.codec.options import EFFORTS
from tacit.codec.refinement import HALO, SCHEDULES, Refiner, Schedule
from tacit.errors import InvalidInput
from tacit.image import ImageSource
from tacit.models.distortion import Distortion, rate_weight
from tacit.models.rdo_quantization import RdoEntropy

LEVELS = dict(SCHEDULES)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for effort in SCHEDULES:
        monkeypatch.setitem(SCHEDULES, effort, Schedule(steps=3, rate=0.4))  # the model is hardly trained


def loss(image: ImageSource, codec: Codec, data: bytes, quality: float) -> float:
    """Bits and weighted squared error, which untold weights were trained for."""
    original = np.asarray(images.load(image).pixels, float)
    decoded = np.asarray(codec.decode(data), float).reshape(original.shape)
    weight = float(rate_weight(torch.tensor(quality)))
    return 8 * len(data) + weight * float(np.square(decoded - original).mean(axis=2).sum())


def test_every_level_has_a_schedule_that_is_longer_than_the_one_before() -> None:
    assert [0, *SCHEDULES] == list(EFFORTS)
    steps = [schedule.steps for schedule in LEVELS.values()]
    assert steps == sorted(set(steps))


@pytest.mark.slow
@pytest.mark.parametrize(("quality", "mode"), [(20.0, "RGB"), (70.0, "L")])
def test_the_loss_falls(codec: Codec, picture: Picture, quality: float, mode: str) -> None:
    image = picture(100, 90, mode)
    plain, refined = (codec.encode(image, quality=quality, effort=effort) for effort in (0, 5))
    assert loss(image, codec, refined, quality) < loss(image, codec, plain, quality)
    assert codec.encode(image, quality=quality, effort=5) == refined


@pytest.mark.slow
def test_no_effort_is_the_default(codec: Codec, picture: Picture) -> None:
    image = picture(80, 64)
    assert codec.encode(image, effort=0) == codec.encode(image)
    refining = Codec(codec.path, precision="fp32", effort=3)  # not auto, which is bf16 on some processors
    assert refining.encode(image) == codec.encode(image, effort=3)
    assert refining.encode(image, effort=0) == codec.encode(image)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (17, 3), (64, 65)])
def test_small_images(codec: Codec, picture: Picture, width: int, height: int) -> None:
    decoded = codec.decode(codec.encode(picture(width, height), effort=1))
    assert decoded.size == (width, height)


def test_structure_is_counted_in_images_below_its_largest_window(codec: Codec, picture: Picture) -> None:
    with torch.no_grad():
        encoding = codec.prepare(picture(40, 30), effort=1)._encoding
    assert isinstance(encoding, ImageEncoding)
    assert encoding.refined is not None
    refiner = Refiner(encoding.refined.model.coding, Distortion(structure=1200.0), 1)
    refinement = refiner(encoding.refined.window([(encoding, encoding.regions[0])], 50.0))
    assert bool(refinement.y.isfinite().all())
    assert bool(refinement.z.isfinite().all())


@pytest.mark.slow
def test_a_map_of_qualities(codec: Codec, picture: Picture) -> None:
    image = picture(130, 70)
    offsets = np.array([[20, -20, 0], [0, 10, 0]])
    plain, refined = (codec.encode(image, quality_map=offsets, effort=effort) for effort in (0, 2))
    assert refined != plain
    assert psnr(image, codec.decode(refined)) > psnr(image, codec.decode(plain)) - 1


@pytest.mark.slow
def test_a_size_is_kept(codec: Codec, picture: Picture) -> None:
    image = picture(150, 140)
    result = codec.encode_result(image, size=2500, effort=2)
    plain = codec.encode_result(image, size=2500)
    assert 2500 * 0.97 < len(result.data) <= 2500
    assert psnr(image, codec.decode(result.data)) >= psnr(image, codec.decode(plain.data)) - 0.05


@pytest.mark.slow
def test_a_psnr_is_kept(codec: Codec, picture: Picture) -> None:
    image = picture(100, 90)
    result = codec.encode_result(image, psnr=24.0, effort=2, reconstruct=True)
    assert result.psnr is not None
    assert result.psnr >= 24.0
    assert result.psnr == pytest.approx(psnr(image, codec.decode(result.data)), abs=1e-6)
    assert len(result.data) <= len(codec.encode(image, psnr=24.0))


@pytest.mark.slow
def test_regions_are_refined_with_what_is_around_them(codec: Codec) -> None:
    image = synthetic(1100, 64)
    encoding = codec.prepare(image, effort=1)._encoding
    assert isinstance(encoding, ImageEncoding)
    left, right = encoding.regions
    assert encoding.refined is not None
    window = encoding.refined.window([(encoding, right)], 50.0)
    halo = min(HALO, (right.left - encoding.tile_box(right)[0]) // 16)
    assert halo > 0
    assert window.columns == slice(halo, halo + encoding.latent_shape(right)[1])
    assert window.x.shape[3] == 16 * window.y.shape[3]
    seen = image[:, right.left - 16 * halo : right.left + right.width]
    torch.testing.assert_close(
        window.x[0, :, : seen.shape[0], : seen.shape[1]], torch.from_numpy(seen).permute(2, 0, 1) / 255
    )
    assert left.left == 0
    plain, refined = (codec.encode(image, effort=effort) for effort in (0, 3))
    assert loss(image, codec, refined, 50.0) < loss(image, codec, plain, 50.0)
    seam = slice(right.left - 8, right.left + 8)
    errors = [np.square(np.asarray(codec.decode(one), float) - image)[:, seam].mean() for one in (plain, refined)]
    assert errors[1] < 1.1 * errors[0]


@pytest.mark.slow
def test_a_batch_is_refined_as_each_image_is(codec: Codec, picture: Picture) -> None:
    sources = [picture(100, 90), picture(97, 92), picture(60, 90, "L")]
    batch = codec.encode_batch(sources, quality=40, effort=2)
    for source, data in zip(sources, batch, strict=True):
        alone = codec.encode(source, quality=40, effort=2)
        assert loss(source, codec, data, 40.0) == pytest.approx(loss(source, codec, alone, 40.0), rel=0.02)
        assert loss(source, codec, data, 40.0) < loss(source, codec, codec.encode(source, quality=40), 40.0)


def test_progress_is_told_and_may_end_it(codec: Codec, picture: Picture) -> None:
    told: list[float] = []
    codec.encode_result(picture(64, 64), effort=1, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        codec.encode_result(picture(64, 64), effort=1, progress=interrupt)


def test_an_interruption_leaves_nothing_half_written(
    codec: Codec, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = tmp_path / "a.png", tmp_path / "a.tacit"
    picture(64, 64).save(source)
    forward, calls = RdoEntropy.forward, itertools.count()

    def interrupted(entropy: RdoEntropy, *arguments: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return forward(entropy, *arguments)

    monkeypatch.setattr(RdoEntropy, "forward", interrupted)
    arguments = ["encode", str(source), "-e", "3", "--model", str(codec.path), "--quiet"]
    assert cli.main(arguments) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert cli.main(arguments) == 0
    assert output.is_file()


@pytest.mark.parametrize("effort", [-1, 10, 2.5, True, "high"])
def test_levels_that_are_none(effort: int) -> None:
    with pytest.raises(InvalidInput, match=f"effort must be a whole number from 0 to 9, got {effort}"):
        EncodeOptions(effort=effort)


def test_weights_of_one_rate_cannot(taco_fixed_codec: Codec, picture: Picture) -> None:
    with pytest.raises(InvalidInput, match="cannot be refined: effort must be 0, got 4"):
        taco_fixed_codec.encode(picture(64, 64), effort=4)


def test_the_card_says_what_counts(codec: Codec) -> None:
    assert Distortion.of(weights.card(codec.path)) == Distortion()


def test_time_may_end_a_refinement_early(codec: Codec, picture: Picture) -> None:
    image = picture(64, 64)
    with pytest.warns(UserWarning, match="effort: refinement ended early, after 0 seconds"):
        ended = codec.encode(image, effort=5, effort_seconds=0)
    assert codec.decode(ended).size == (64, 64)
    assert codec.encode(image, effort=5, effort_seconds=1000) == codec.encode(image, effort=5)
    with pytest.raises(InvalidInput, match="effort_seconds must be at least 0, got nan"):
        EncodeOptions(effort_seconds=float("nan"))


@pytest.mark.slow
def test_progress_over_regions_and_attempts_never_goes_back(codec: Codec) -> None:
    told: list[float] = []
    codec.encode_result(synthetic(1100, 32), effort=1, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) == 8  # two regions of three steps and the loss before them
    told.clear()
    codec.encode_result(synthetic(64, 64), size=700, effort=1, progress=told.append)
    assert told == sorted(told)
    assert 0 < told[-1] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("goes_back", [True, False])
def test_a_search_that_runs_away_goes_back(
    codec: Codec, picture: Picture, monkeypatch: pytest.MonkeyPatch, goes_back: bool
) -> None:
    monkeypatch.setitem(SCHEDULES, 1, Schedule(steps=16, rate=8.0))
    monkeypatch.setattr("tacit.codec.refinement.ASTRAY", 1.5 if goes_back else math.inf)
    image = picture(100, 90)
    plain, refined = (codec.encode(image, quality=50, effort=effort) for effort in (0, 1))
    assert (loss(image, codec, refined, 50) < loss(image, codec, plain, 50)) == goes_back
