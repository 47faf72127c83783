"""Finders by their names, and functions as finders."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tacit.errors import InvalidInput, UnknownModel
from tacit.finding import FINDERS, CueFinder, Found, find, load_finder
from tacit.finding.found import FLAT
from tacit.finding.network_finder import NETWORKS

PIXELS = np.zeros((64, 128, 3), np.uint8)


def giving(value: Any) -> Any:
    return lambda pixels, caption: value


@pytest.mark.parametrize("name", sorted(FINDERS.keys() - NETWORKS.keys()))
def test_every_finder_says_what_it_is(name: str) -> None:
    if name == "endpoint":
        pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")
    settings = load_finder(name).settings
    assert settings["finder"] == name
    assert json.loads(json.dumps(settings)) == settings


def test_a_finder_is_taken_as_it_is() -> None:
    finder = CueFinder()
    assert load_finder(finder) is finder


@pytest.mark.parametrize("value", [None, [], ()])
def test_a_function_may_find_nothing(value: Any) -> None:
    found = find(PIXELS, "a boat", giving(value))
    assert found.missed == ("a boat",)
    assert (found.map == FLAT).all()


def test_a_function_gives_a_map_or_boxes_or_what_was_found() -> None:
    values = np.array([[0.5, 1.0]])
    found = find(PIXELS, "a boat", giving(values))
    assert found.map.tolist() == values.tolist()
    (thing,) = found.things
    assert thing.phrase == "a boat"
    assert thing.cues == (load_finder(giving(values)).settings["finder"],)
    boxes = find(PIXELS, "a boat", giving([(64, 0, 128, 32)])).map
    assert boxes[0, -1] == 1
    assert boxes.mean() == 0.25
    assert find(PIXELS, "a boat", giving(np.array([[0, 0, 64, 64.0], [0, 0, 2, 2]]).tolist())).map.mean() == 0.5
    given = Found(values, ())
    assert find(PIXELS, "a boat", giving(given)) is given


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 2, 1)), r"the map of a finder must be \[h, w\], got shape \[2, 2, 1\]"),
        (np.full((2, 2), 1.5), "the map of a finder must be 0 to 1"),
        (np.full((2, 2), np.nan), "the map of a finder must be 0 to 1"),
        ([(1, 2, 3)], "must give a map, boxes of four numbers, or a Found, got list"),
        ("red", "must give a map, boxes of four numbers, or a Found, got str"),
        (7, "must give a map, boxes of four numbers, or a Found, got int"),
        ([(1, 2, 1, 3)], "with a width and a height"),
    ],
)
def test_a_function_that_gives_something_else(value: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        find(PIXELS, "a boat", giving(value))


def test_names_that_are_none() -> None:
    with pytest.raises(UnknownModel, match=r"finder must be one of embedded.*, got 'nobody'"):
        load_finder("nobody")
