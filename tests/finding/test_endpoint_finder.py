"""The finder that asks an endpoint, on a server that answers what it is told to."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.chat_server import Server, caption
from tacit.captions import EndpointOptions
from tacit.errors import CaptionerError
from tacit.finding import Found, load_finder
from tacit.finding.endpoint_finder import EndpointFinder

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
BOAT = {"phrase": "the red boat", "box": [500, 0, 1000, 500]}


@pytest.fixture
def make(chat_server: Server, tmp_path: Path) -> Callable[[], EndpointFinder]:
    options = EndpointOptions(base_url=chat_server.url, rate=100_000, timeout=5, attempts=2, backoff=0.01)
    return lambda: EndpointFinder(options=options, folder=tmp_path / "answers")


def test_boxes_are_asked_for_once(chat_server: Server, make: Callable[[], EndpointFinder]) -> None:
    chat_server.replies = [caption(f"Here they are:\n```json\n{json.dumps([BOAT, BOAT | {'phrase': 'a dog'}])}\n```")]
    found = make()(PIXELS, "the red boat and a dog")
    assert found.found == ("the red boat", "a dog")
    assert found.map[:4, 8:].all()
    assert found.map.sum() == 32
    (asked,) = chat_server.asked
    assert "\n\nthe red boat and a dog\n\n" in asked["messages"][0]["content"][0]["text"]
    copied = pickle.loads(pickle.dumps(make()))
    assert (copied(PIXELS, "the red boat and a dog").map == found.map).all()
    assert len(chat_server.asked) == 1
    copied(PIXELS[:, :, :1], "the red boat and a dog")
    copied(PIXELS, "a dog")
    assert len(chat_server.asked) == 3


def test_nothing_is_found_where_the_model_sees_nothing(chat_server: Server, make: Callable[[], EndpointFinder]) -> None:
    chat_server.replies = [caption("[]")]
    found: Found = make()(PIXELS, "a whale")
    assert found.missed == ("a whale",)


@pytest.mark.parametrize(
    "answer",
    [
        "I see a boat on the left.",
        "{}",
        "7",
        "[[1, 2, 3, 4]]",
        json.dumps([{"phrase": "boat"}]),
        json.dumps([{"phrase": "boat", "box": [1, 2, 3]}]),
        json.dumps([{"phrase": "boat", "box": [9, 0, 9, 500]}]),  # of no size
        json.dumps([{"phrase": "boat", "box": [-300, 0, 300, 500]}]),
        json.dumps([{"phrase": "boat", "box": [1005, 0, 1010, 500]}]),  # outside
        json.dumps([{"phrase": "boat", "box": "the left half"}]),
        json.dumps([BOAT]).replace("]}", ""),
        "I'm sorry, but I can't help with identifying things in this image.",
        json.dumps([{"phrase": "boat", "box": [0, 0, 1920, 1080]}]),
        '[{"phrase": "boat", "box": [0, 0, NaN, 10]}]',
        "[" * 100_000,
    ],
)
def test_nonsense_is_an_error_and_not_kept(chat_server: Server, make: Any, answer: str) -> None:
    chat_server.replies = [caption(answer), caption(json.dumps([BOAT]))]
    finder = make()
    with pytest.raises(CaptionerError, match="the answer must be a list of phrases and boxes, got"):
        finder(PIXELS, "the red boat")
    assert finder(PIXELS, "the red boat").found == ("the red boat",)


@pytest.mark.parametrize(
    "box",
    [[1000, 500, 500, 0], ["500", "0", "1000", "500"], "500, 0, 1000, 500", "[500,0,1000,500]", [500, -9, 1009, 500]],
)
def test_boxes_that_are_nearly_right_are_put_right(chat_server: Server, make: Any, box: Any) -> None:
    chat_server.replies = [caption("Sure!\n```json\n" + json.dumps([BOAT | {"box": box}], indent=1) + "\n```\nDone.")]
    found = make()(PIXELS, "the red boat")
    assert found.found == ("the red boat",)
    assert found.map[:4, 8:].all()
    assert found.map.sum() == 32


def test_too_many_boxes_are_an_error(chat_server: Server, make: Any) -> None:
    chat_server.replies = [caption(json.dumps([BOAT] * 101))]
    with pytest.raises(CaptionerError, match="at most 100 boxes, got 101"):
        make()(PIXELS, "boats")


def test_the_name_chooses_the_model(chat_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", chat_server.url)
    settings = load_finder("endpoint:some-model").settings
    assert (settings["finder"], settings["model"]) == ("endpoint", "some-model")
    assert settings["url"].startswith(chat_server.url)
