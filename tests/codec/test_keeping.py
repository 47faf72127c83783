"""Encodings that keep what they were asked to keep."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from support.codec_files import WIDE, Picture
from tacit.codec import Codec, Keep, KeepWarning
from tacit.codec.encoding import ImageEncoding
from tacit.codec.keeping import ROUNDS, TRIALS
from tacit.codec.rate_control import ATTEMPTS
from tacit.container import read
from tacit.errors import InvalidInput, TargetNotReached
from tacit.finding import Found, FoundThing
from tacit.image import Raster
from tacit.image.psnr import psnr

BOX = (70, 66, 120, 118)  # of an image of 200x150 pixels
SIDES = 200, 150


def box_psnr(codec: Codec, data: bytes, image: object, box: tuple[int, int, int, int]) -> float:
    left, top, right, bottom = box
    original, decoded = (np.asarray(one)[top:bottom, left:right] for one in (image, codec.decode(data)))
    return psnr(np.atleast_3d(decoded), np.atleast_3d(original))


def lowest(codec: Codec, image: object, box: tuple[int, int, int, int], quality: float = 0) -> float:
    return box_psnr(codec, codec.encode(image, quality=quality), image, box)  # type: ignore[arg-type]


def offsets(data: bytes) -> np.ndarray:
    header = read(data).header
    assert header.quality_map is not None
    return np.frombuffer(header.quality_map, np.int8).reshape(-(-header.height // 64), -(-header.width // 64))


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many whole encodings and trials there were."""
    counts = {"whole": 0, "trials": 0}
    attempt, decoded_boxes = ImageEncoding.attempt, ImageEncoding.decoded_boxes

    def counting(self: ImageEncoding, quality: float | None, reconstruct: bool) -> object:
        counts["whole"] += 1
        return attempt(self, quality, reconstruct)

    def counting_trials(self: ImageEncoding, quality: float | None, boxes: Sequence[object]) -> object:
        counts["trials"] += 1
        return decoded_boxes(self, quality, boxes)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageEncoding, "attempt", counting)
    monkeypatch.setattr(ImageEncoding, "decoded_boxes", counting_trials)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_box_is_kept_at_least_bytes(
    codec: Codec, tiny_weights: Path, picture: Picture, mode: str, encodings: dict[str, int]
) -> None:
    image = picture(*SIDES, mode)
    least = lowest(codec, image, BOX) + 2
    encodings.update(whole=0)
    result = codec.encode_result(image, quality=0, keep=[Keep(box=BOX, psnr=least)])
    assert encodings["whole"] <= 4  # one for the cost, two to see that no one quality would be smaller
    assert encodings["trials"] <= 2 * TRIALS
    (kept,) = result.kept
    assert least <= kept.reached < least + 0.4
    assert kept.kept
    assert kept.reached == box_psnr(codec, result.data, image, BOX)
    assert box_psnr(Codec(tiny_weights, engine="torch", precision="fp32"), result.data, image, BOX) >= least
    assert result.kept_bytes == len(result.data) - len(codec.encode(image, quality=0)) > 0
    assert result.quality == 0
    assert result.image is None
    steps = offsets(result.data)
    assert (steps[:, 3] == 0).all()
    assert steps[1, 1] == steps.max() > 0
    # a step less for the box is not enough
    lower = codec.encode(image, quality=0, quality_map=np.maximum(steps - 1, 0))
    assert box_psnr(codec, lower, image, BOX) < least + 0.1
    assert codec.encode(image, quality=0, keep=[Keep(box=BOX, psnr=least)]) == result.data


def test_what_is_kept_anyway_costs_nothing(codec: Codec, picture: Picture) -> None:
    image = picture(*SIDES)
    result = codec.encode_result(image, quality=50, keep=[Keep(box=BOX, psnr=lowest(codec, image, BOX, 50) - 1)])
    assert result.data == codec.encode(image, quality=50)
    assert result.kept_bytes == 0


@pytest.mark.slow
def test_large_boxes_take_no_more_than_one_quality_for_all(codec: Codec, picture: Picture) -> None:
    image, boxes = picture(*SIDES), [(0, 0, 90, 150), (90, 0, 200, 150)]
    anchor = codec.encode(image, quality=60)
    keeps = [Keep(box=box, psnr=box_psnr(codec, anchor, image, box) - 0.1) for box in boxes]  # what decoders differ by
    result = codec.encode_result(image, quality=20, keep=keeps)
    assert read(result.data).header.quality_map is None
    assert result.quality is not None
    assert 20 < result.quality < 60
    assert len(result.data) < len(anchor)
    for kept in result.kept:
        assert kept.kept
        assert kept.reached == box_psnr(codec, result.data, image, kept.box)
    assert result.kept_bytes == len(result.data) - len(codec.encode(image, quality=20))
    size = len(result.data) + 20  # less than any map takes
    in_size = codec.encode_result(image, size=size, keep=keeps)
    assert len(in_size.data) <= size
    assert all(kept.kept for kept in in_size.kept)


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [False, True])
def test_several_things_in_a_size(codec: Codec, picture: Picture, overlap: bool, encodings: dict[str, int]) -> None:
    image = picture(*SIDES)
    other = (60, 60, 100, 150) if overlap else (5, 5, 30, 140)
    keeps = [Keep(box=BOX, psnr=lowest(codec, image, BOX) + 1.5), Keep(box=other, psnr=lowest(codec, image, other) + 1)]
    size = len(codec.encode(image, quality=0)) + 700
    encodings.update(whole=0)
    result = codec.encode_result(image, size=size, keep=keeps)
    assert encodings["whole"] <= (1 + ROUNDS) * ATTEMPTS + 1
    assert encodings["trials"] <= 2 * TRIALS
    assert 0.97 * size <= len(result.data) <= size
    assert all(kept.kept and kept.reached == box_psnr(codec, result.data, image, kept.box) for kept in result.kept)
    assert [kept.keep for kept in result.kept] == keeps


@pytest.mark.slow
def test_a_psnr_of_the_whole_and_of_a_box(codec: Codec, picture: Picture) -> None:
    image = picture(*SIDES)
    whole = (0, 0, *SIDES)
    goal, least = lowest(codec, image, whole, 30), lowest(codec, image, BOX, 30) + 1
    result = codec.encode_result(image, psnr=goal, keep=[Keep(box=BOX, psnr=least)])
    assert box_psnr(codec, result.data, image, whole) >= goal
    assert result.kept[0].kept


@pytest.mark.slow
def test_regions_far_from_a_box_are_not_coded_in_trials(codec: Codec, picture: Picture) -> None:
    image = picture(*WIDE)
    box = (1090, 0, 1100, 70)
    least = lowest(codec, image, box) + 1
    result = codec.encode_result(image, quality=0, keep=[Keep(box=box, psnr=least)], reconstruct=True)
    assert box_psnr(codec, result.data, image, box) >= least
    assert result.image is not None
    assert not offsets(result.data)[:, :16].any()


@pytest.mark.slow
def test_scores_are_kept(codec: Codec, picture: Picture) -> None:
    pytest.importorskip("ssimulacra2")
    image = picture(*SIDES)
    plain = codec.encode_result(image, quality=0, keep=[Keep(box=BOX, ssimulacra2=0.1)], best_effort=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KeepWarning)
        least = max(plain.kept[0].reached, 0) + 3
        result = codec.encode_result(image, quality=0, keep=[Keep(box=BOX, ssimulacra2=least)])
    assert result.kept[0].reached >= least


@pytest.mark.slow
def test_a_steered_encoding_keeps_as_well(codec: Codec, picture: Picture) -> None:
    image = picture(*SIDES)
    least = lowest(codec, image, BOX) + 2
    own = np.arange(12).reshape(3, 4) - 6
    result = codec.encode_result(image, quality=10, quality_map=own, keep=[Keep(box=BOX, psnr=least)])
    assert box_psnr(codec, result.data, image, BOX) >= least
    steps = offsets(result.data)
    assert (steps >= own).all()
    assert (steps[:, 3] == own[:, 3]).all()


@pytest.mark.slow
def test_a_phrase_is_looked_for(codec: Codec, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(*SIDES)
    seen = np.zeros((15, 20), np.float32)
    seen[7:12, 7:12] = 1

    def find(self: Codec, raster: Raster, phrase: str) -> Found:
        return Found(seen, (FoundThing(phrase, ("colour",), seen),))

    monkeypatch.setattr(Codec, "find", find)
    least = lowest(codec, image, (70, 70, 120, 120)) + 1
    result = codec.encode_result(image, quality=0, keep=[Keep(phrase="the red dot", psnr=least)])
    (kept,) = result.kept
    assert (kept.box, kept.cues, kept.keep.phrase) == ((70, 70, 120, 120), ("colour",), "the red dot")
    assert box_psnr(codec, result.data, image, kept.box) >= least
    prepared = codec.prepare(image, keep=[Keep(phrase="the red dot", psnr=least)])
    assert prepared.encode(0).data == result.data


def test_more_than_the_model_reaches(codec: Codec, picture: Picture) -> None:
    image = picture(*SIDES)
    keep = [Keep(box=BOX, psnr=50)]
    with pytest.raises(TargetNotReached, match="the box 70,66,50,52 cannot be kept at 50 dB: it reaches no more than"):
        codec.encode(image, keep=keep)
    with pytest.warns(KeepWarning, match="cannot be kept at 50 dB: it reaches no more than"):
        result = codec.encode_result(image, quality=20, keep=keep, best_effort=True)
    (kept,) = result.kept
    assert not kept.kept
    assert kept.reached == pytest.approx(lowest(codec, image, BOX, 100), abs=0.2)
    assert (offsets(result.data)[1, 1:2] == 80).all()


@pytest.mark.slow
def test_less_bytes_than_it_takes(codec: Codec, picture: Picture) -> None:
    image = picture(*SIDES)
    least = lowest(codec, image, BOX, 90)
    size = len(codec.encode(image, quality=0)) + 60
    keep = [Keep(box=BOX, psnr=least)]
    with pytest.raises(TargetNotReached, match=rf"a file of {size} bytes cannot be reached: .*, with what is kept$"):
        codec.encode(image, size=size, keep=keep)
    with pytest.warns(KeepWarning, match=rf"cannot be kept at {least:g} dB: it reaches no more than"):
        result = codec.encode_result(image, size=size, keep=keep, best_effort=True)
    assert len(result.data) <= size
    assert lowest(codec, image, BOX) < result.kept[0].reached < least
    with pytest.raises(TargetNotReached, match="a file of 9 bytes cannot be reached"):
        codec.encode(image, size=9, keep=keep, best_effort=True)


def test_what_cannot_keep_anything(codec: Codec, taco_fixed_codec: Codec, picture: Picture) -> None:
    image, keep = picture(*SIDES), [Keep(box=BOX, psnr=30)]
    with pytest.raises(InvalidInput, match="a batch keeps nothing that is named: keep needs one image at a time"):
        codec.encode_batch([image], keep=keep)
    with pytest.raises(InvalidInput, match="these weights take no quality map"):
        taco_fixed_codec.encode(image, keep=keep)
