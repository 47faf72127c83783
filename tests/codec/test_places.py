"""Where things are that an encoding keeps."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.codec.keep import Keep, KeepWarning
from tacit.codec.places import Place, find_places
from tacit.errors import InvalidInput, NotFound
from tacit.finding import Found, FoundThing
from tacit.finding.boxes import MOST_PIECES, boxes_around
from tacit.finding.maps import Map
from tacit.image import Raster, from_array

IMAGE = from_array(np.zeros((60, 80, 3), np.uint8))


def mask(*parts: tuple[slice, slice]) -> Map:
    values = np.zeros((30, 40), np.float32)
    for part in parts:
        values[part] = 0.9
    return values


def test_a_box_is_around_each_large_piece() -> None:
    seen = mask(np.s_[2:6, 3:9], np.s_[10:30, 20:40], np.s_[10:20, 0:12], np.s_[29:30, 0:1])
    assert boxes_around(seen, 80, 60) == [(40, 20, 80, 60), (0, 20, 24, 40)]
    assert boxes_around(mask(np.s_[0:30, 0:40]), 77, 53) == [(0, 0, 77, 53)]
    assert boxes_around(mask(), 80, 60) == []
    assert boxes_around(0.2 * mask(np.s_[2:6, 3:9]), 80, 60) == [(6, 4, 18, 12)]  # the most that there is


def test_many_pieces_are_one_box() -> None:
    parts = [np.s_[2 : 2 + 4, 3 * n + 1 : 3 * n + 3] for n in range(MOST_PIECES + 1)]
    assert boxes_around(mask(*parts), 80, 60) == [(2, 4, 78, 12)]
    assert len(boxes_around(mask(*parts[1:]), 80, 60)) == MOST_PIECES


def test_a_phrase_may_name_several_things() -> None:
    things = (
        FoundThing("dog", ("detector",), mask(np.s_[0:4, 0:4])),
        FoundThing("ball", ("colour",), mask(np.s_[10:12, 8:10], np.s_[10:12, 20:22])),
    )
    asked = []

    def find(raster: Raster, phrase: str) -> Found:
        asked.append((raster, phrase))
        return Found(things[0].map, things)  # type: ignore[arg-type]

    keep, box = Keep.named("a dog and balls=30dB"), Keep.boxed("1,2,3,4=40dB")
    assert find_places([keep, box], IMAGE, find) == [
        Place(keep, (0, 0, 8, 8), ("detector",)),
        Place(keep, (16, 20, 20, 24), ("colour",)),
        Place(keep, (40, 20, 44, 24), ("colour",)),
        Place(box, (1, 2, 4, 6)),
    ]
    assert asked == [(IMAGE, "a dog and balls")]


def test_what_is_not_found() -> None:
    dog = FoundThing("dog", ("detector",), mask(np.s_[0:4, 0:4]))
    nothing = Found(mask(), ())
    part = Found(mask(), (dog, FoundThing("the unicorn", (), None)))
    keep = Keep.named("a dog and the unicorn=30dB")
    with pytest.raises(NotFound, match=r"^'the unicorn' cannot be found in the image: name it .* or give its box$"):
        find_places([keep], IMAGE, lambda *_: part)
    with pytest.raises(NotFound, match=r"^'a dog and the unicorn' cannot be found"):
        find_places([keep], IMAGE, lambda *_: nothing)
    with pytest.warns(KeepWarning, match="'the unicorn' cannot be found"):
        places = find_places([keep], IMAGE, lambda *_: part, best_effort=True)
    assert places == [Place(keep, (0, 0, 8, 8), ("detector",))]


def test_what_is_hardly_seen_is_not_kept_but_said() -> None:
    dog = FoundThing("dog", ("detector",), mask(np.s_[1:4, 2:4]), sure=False)
    with pytest.raises(NotFound, match=r"^'dog' \(perhaps at 4,2,4,6\) cannot be surely found in the image: name it"):
        find_places([Keep.named("a dog=30dB")], IMAGE, lambda *_: Found(mask(), (dog,)))


def test_what_is_asked_for_twice_is_kept_once() -> None:
    keeps = [Keep.boxed("1,2,3,4=40dB"), Keep.boxed("1,2,3,4=30dB"), Keep.boxed("1,2,3,4=40dB")]
    assert [place.keep for place in find_places(keeps, IMAGE, lambda *_: Found(mask(), ()))] == keeps[:2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("70,0,11,5=30dB", "the box 70,0,11,5 must be inside the image of 80x60 pixels, got right edge 81"),
        ("0,60,5,5=30dB", "must be inside the image of 80x60 pixels, got right edge 5, bottom edge 65"),
        ("0,0,80,7=70ssimulacra2", "the box 0,0,80,7 must be 8 pixels a side or more for SSIMULACRA 2, got 80x7"),
    ],
)
def test_boxes_that_cannot_be_kept(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        find_places([Keep.boxed(text)], IMAGE, lambda *_: Found(mask(), ()), best_effort=True)
