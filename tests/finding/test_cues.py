from __future__ import annotations

import numpy as np
import pytest

from tacit.finding import CueFinder, find
from tacit.finding.colour import WINDOWS, ColourCue
from tacit.finding.cue_finder import core_cues
from tacit.finding.detector import Box, DetectorCue
from tacit.finding.found import FLAT
from tacit.finding.maps import box_mask, pieces, smoothed
from tacit.finding.phrases import Phrase, phrases_of
from tacit.finding.place import PlaceCue
from tacit.finding.stuff import StuffCue
from tacit.finding.superpixels import averaged, superpixels
from tacit.finding.view import View
from tacit.finding.vocabulary import COLOURS

GREEN, RED, SKY = (60, 130, 50), (200, 30, 30), (130, 170, 230)


def scene() -> np.ndarray:
    """Sky over grass, a large red square at the right, and a small one at the left."""
    rng = np.random.default_rng(0)
    image = np.empty((256, 384, 3), np.float64)
    image[:120], image[120:] = SKY, GREEN
    image[120:] += rng.normal(0, 12, (136, 384, 1))
    image[150:220, 270:340] = RED
    image[160:190, 40:70] = RED
    return np.clip(image, 0, 255).astype(np.uint8)


def only(text: str) -> Phrase:
    (phrase,) = phrases_of(text)
    return phrase


def inside(values: np.ndarray, left: int, top: int, right: int, bottom: int) -> float:
    """The mean inside a box in the scene's pixels, less the mean outside."""
    mask = box_mask((values.shape[0], values.shape[1]), (left / 384, top / 256, right / 384, bottom / 256)) > 0.5
    return float(values[mask].mean() - values[~mask].mean())


def test_larger_piece_of_a_colour_is_found_and_place_words_overrule_it() -> None:
    finder = CueFinder()
    assert inside(finder(scene(), "the red box").map, 270, 150, 340, 220) > 0.8
    assert inside(finder(scene(), "the red box on the left").map, 40, 160, 70, 190) > 0.7


def test_several_of_a_kind_are_all_found() -> None:
    values = CueFinder()(scene(), "the red boxes").map
    assert inside(values, 40, 160, 70, 190) > 0.7
    assert inside(values, 270, 150, 340, 220) > 0.7


def test_stuff_is_found_by_its_look_and_place() -> None:
    found = find(scene(), "the blue sky")
    assert found.found == ("blue sky",)
    assert found.things[0].cues == ("colour", "stuff")
    assert inside(found.map, 0, 0, 384, 120) > 0.6


def test_white_thing_in_coloured_light_is_found() -> None:
    image = np.full((256, 384, 3), (120, 30, 20), np.uint8)
    image[100:150, 150:200] = (225, 175, 150)
    assert WINDOWS["white"](View(image)).max() < 0.5
    assert inside(find(image, "the white knob").map, 150, 100, 200, 150) > 0.8


def test_part_of_a_thing_that_is_hardly_seen_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for score, seen in ((0.9, True), (0.2, False)):
        box = Box((0.1, 0.2, 0.5, 0.8), score)
        monkeypatch.setattr(
            "tacit.finding.detector.boxes_of", lambda view, number, box=box: [box] if number == 3 else []
        )
        evidence = DetectorCue()(View(scene()), only("the front wheel of the green motorcycle"))
        assert (evidence is not None) == seen
        assert DetectorCue()(View(scene()), only("the green motorcycle")) is not None


def test_several_things_share_one_map() -> None:
    values = CueFinder()(scene(), "a blue sky and a red box").map
    apart = [CueFinder()(scene(), text).map for text in ("a blue sky", "a red box")]
    assert np.allclose(values, 1 - (1 - apart[0]) * (1 - apart[1]))


@pytest.mark.parametrize("caption", ["the flibbertigibbet", "the purple cow", "", "it is there"])
def test_what_is_not_found_changes_nothing_and_is_said(caption: str) -> None:
    found = find(scene(), caption)
    assert (found.map == FLAT).all()
    assert found.found == ()
    assert len(found.missed) == len(phrases_of(caption))


def test_unknown_thing_takes_nothing_from_a_known_one() -> None:
    found = find(scene(), "a red box and a flibbertigibbet")
    assert found.found == ("red box",)
    assert found.missed == ("flibbertigibbet",)
    assert np.array_equal(found.map, find(scene(), "a red box").map)


def test_stuff_that_is_not_there_is_not_seen() -> None:
    red = np.full((64, 96, 3), RED, np.uint8)
    for noun in ("grass", "sky", "water", "snow", "cloud"):
        assert StuffCue()(View(red), only(f"the {noun}")) is None, noun


def test_every_colour_word_has_a_window_which_has_its_colour() -> None:
    assert set(COLOURS.values()) == set(WINDOWS)
    seen = {
        "red": (200, 30, 30), "orange": (240, 130, 30), "yellow": (240, 220, 40), "golden": (205, 160, 50),
        "green": (50, 140, 50), "cyan": (40, 180, 190), "blue": (40, 70, 190), "purple": (120, 50, 150),
        "pink": (240, 150, 170), "brown": (110, 75, 45), "black": (15, 15, 15), "white": (245, 245, 245),
        "grey": (125, 125, 125),
    }  # fmt: skip
    for colour, rgb in seen.items():
        view = View(np.full((8, 8, 3), rgb, np.uint8))
        assert WINDOWS[colour](view).min() > 0.9, colour


def test_colour_that_is_absent_is_not_seen() -> None:
    assert ColourCue()(View(scene()), only("the purple ball")) is None


def test_place_is_a_ramp_to_the_named_side() -> None:
    view = View(scene())
    evidence = PlaceCue()(view, only("the boat at the lower left"))
    assert evidence is not None
    assert evidence.map.argmax() == (view.shape[0] - 1) * view.shape[1]
    assert PlaceCue()(view, only("the boat")) is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 700, 3), (700, 1, 1), (5, 3, 3), (300, 200, 1)])
def test_image_of_any_shape_has_a_map(shape: tuple[int, int, int]) -> None:
    pixels = np.full(shape, 120, np.uint8)
    for caption in ("the red sky on the left", "the grey sky", "the water"):
        values = CueFinder()(pixels, caption).map
        assert np.isfinite(values).all()
        assert 0 <= values.min() <= values.max() <= 1


def test_pieces_are_those_of_a_flood_fill() -> None:
    mask = np.random.default_rng(1).random((40, 60)) < 0.55
    labels = pieces(mask)
    assert ((labels > 0) == mask).all()
    expected = np.zeros_like(labels)
    for row, column in zip(*np.nonzero(mask), strict=True):
        if expected[row, column]:
            continue
        number, stack = expected.max() + 1, [(row, column)]
        while stack:
            r, c = stack.pop()
            if 0 <= r < 40 and 0 <= c < 60 and mask[r, c] and not expected[r, c]:
                expected[r, c] = number
                stack += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    pairs = set(zip(labels[mask].tolist(), expected[mask].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_smoothing_keeps_a_constant_and_spreads_a_point() -> None:
    assert np.allclose(smoothed(np.full((7, 9), 3.0, np.float32), 2), 3.0)
    point = np.zeros((9, 9), np.float32)
    point[4, 4] = 1
    assert smoothed(point, 1).sum() == pytest.approx(1)


def test_superpixels_follow_edges() -> None:
    view = View(scene())
    labels = superpixels(view.lab)
    red = (view.rgb[..., 0] > 0.6) & (view.rgb[..., 2] < 0.3)
    kept = averaged(red.astype(np.float32), labels)
    assert kept[red].mean() > 0.9
    assert 150 < len(np.unique(labels)) < 350


@pytest.mark.parametrize(
    ("score", "text", "cues", "sure"),
    [
        (0.9, "the red car", ("colour", "detector"), True),
        (0.06, "the red car", ("colour", "detector"), False),
        (0.06, "the car", ("detector",), False),
        (None, "the red car", (), True),
        (None, "the red ball", ("colour",), True),
        (None, "the red gizmo", ("colour",), True),
    ],
)
def test_colour_does_not_stand_for_a_thing_that_the_detector_would_see(
    score: float | None, text: str, cues: tuple[str, ...], sure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [] if score is None else [Box((0.7, 0.6, 0.9, 0.9), score)]
    monkeypatch.setattr("tacit.finding.detector.boxes_of", lambda view, number: list(boxes))
    (thing,) = CueFinder(core_cues())(scene(), text).things
    assert (thing.cues, thing.map is not None, thing.sure) == (cues, bool(cues), sure)
