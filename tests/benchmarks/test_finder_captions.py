"""What the finder makes of whole captions, and of weights of their things."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import finder_captions
from benchmarks.finder_captions import COMPARED, _turned, combined, measure, strengths
from tacit.finding import Found, FoundThing
from tacit.finding.found import FLAT
from tacit.study.named_regions import NamedRegion
from tacit.words import shared_weigher

CAPTION = "a photo of a dog and a flamingo near the Eiffel Tower"


def thing(phrase: str, at: int | None) -> FoundThing:
    values = np.zeros((1, 3), np.float32)
    values[0, at or 0] = 1
    return FoundThing(phrase, () if at is None else ("colour",), None if at is None else values)


def test_things_count_by_their_heaviest_words() -> None:
    found = Found(np.zeros((1, 3)), (thing("dog", 0), thing("cat", None), thing("flamingo", 1)))
    dog, flamingo = strengths(found, CAPTION)
    weights = {word.text: word.weight for word in shared_weigher()(CAPTION)}
    assert flamingo == 1
    assert dog == pytest.approx((weights["dog"] - 1) / (weights["flamingo"] - 1))
    assert combined(found, (dog, flamingo)).tolist() == [[pytest.approx(dog), 1, 0]]
    assert combined(Found(np.zeros((1, 1)), ()), ()).tolist() == [[FLAT]]
    assert _turned([0.2, 1.0, 0.5]) == [1.0, 0.2, 0.5]


def test_a_set_is_measured(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    folder = tmp_path_factory.mktemp("images")
    pixels = np.full((128, 192, 3), 120, np.uint8)
    pixels[64:, :64] = (200, 30, 30)
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(folder / name)
    texts = dict.fromkeys(("a.png", "b.png"), ("a red box", "a red box under a grey sky and a flibbertigibbet"))
    monkeypatch.setattr(finder_captions, "captions_of", lambda name, folder: texts)
    regions = [NamedRegion(name, "the red box", (0, 64, 64, 128)) for name in ("a.png", "b.png", "none.png")]
    result = measure("set", folder, regions)
    assert (result["images"], result["boxes"]) == (2, 2)
    assert result["shares"]["the phrases"] > 0.9
    assert result["shares"]["short caption"] == pytest.approx(result["shares"]["the phrases"])
    assert result["things found"]["short caption"] == 1
    assert [(row["test"], row["against"]) for row in result["differences"]] == list(COMPARED)
