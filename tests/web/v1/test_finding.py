"""`POST /v1/find`, and encodings that say what was found or are told where it is."""

from __future__ import annotations

import json

import httpx
import pytest
from PIL import Image

from support.pictures import synthetic
from support.web_service import image_bytes, problem
from tacit import container
from tacit.codec import Codec
from tacit.errors import InvalidInput
from tacit.web.client import Client
from tacit.web.v1.encoding import FOUND_LENGTH, _found_header

CAPTION = "the red box and an accordion"


@pytest.fixture(scope="module")
def red_box() -> bytes:
    """An image of 200x150 pixels with a red square in its upper left corner, as PNG."""
    pixels = synthetic(200, 150)
    pixels[10:74, 8:72] = (210, 20, 20)
    return image_bytes(Image.fromarray(pixels))


def test_what_a_caption_names_is_found_or_said_to_be_missing(client: Client, web: httpx.Client, red_box: bytes) -> None:
    red, accordion = client.find(red_box, CAPTION)
    assert (red.phrase, accordion.phrase) == ("red box", "accordion")
    ((left, top, right, bottom),) = red.boxes
    assert abs(left - 8) + abs(top - 10) + abs(right - 72) + abs(bottom - 74) < 40
    assert "colour" in red.cues
    assert accordion.boxes == ()
    assert accordion.cues == ()
    answer = web.post("/v1/find", params={"caption": CAPTION}, content=red_box).json()
    assert (answer["width"], answer["height"], answer["warnings"]) == (200, 150, [])
    assert [thing["found"] for thing in answer["things"]] == [True, False]
    assert answer["things"][0]["boxes"] == [[left, top, right - left, bottom - top]]


def test_a_caption_is_needed_and_an_image(web: httpx.Client, red_box: bytes) -> None:
    for query, body, status in (
        ("", red_box, 422),
        ("?caption=", red_box, 422),
        (f"?caption={4097 * 'x'}", red_box, 422),
        ("?caption=dog", b"nothing", 415),
        ("?caption=dog", image_bytes(Image.new("L", (400, 400))), 413),
    ):
        problem(web.post(f"/v1/find{query}", content=body), status)


def test_an_encoding_says_what_was_found(client: Client, red_box: bytes) -> None:
    encoded = client.encode(red_box, CAPTION)
    assert (encoded.found, encoded.missed) == (("red box",), ("accordion",))
    unsteered = client.encode(red_box, CAPTION, steer=0)
    for quiet in (unsteered, client.encode(red_box, CAPTION, boxes=[(0, 0, 64, 64)])):
        assert (quiet.found, quiet.missed) == ((), ())


def test_boxes_steer_instead_of_the_caption(client: Client, red_box: bytes, codec: Codec) -> None:
    box = (130, 70, 200, 150)
    data = client.encode(red_box, CAPTION, quality=40, steer=30, boxes=[box]).data
    steps = container.read(data).header.quality_map
    assert steps == container.read(codec.encode(red_box, quality=40, steer=30, boxes=[box])).header.quality_map
    assert steps is not None
    with pytest.raises(InvalidInput, match=r"a box must be in the image of 200x150 pixels"):
        client.encode(red_box, boxes=[(200, 0, 210, 9)])
    with pytest.raises(InvalidInput, match="box: String should match pattern"):
        client.encode(red_box, boxes=[(-1, 0, 10, 9)])


def test_a_header_that_would_be_too_long_leaves_phrases_out() -> None:
    phrases = [f"thing {number} \N{LATIN SMALL LETTER E WITH ACUTE}" for number in range(200)]
    header = _found_header(phrases, ["nothing"])
    assert len(header) <= FOUND_LENGTH
    lists = json.loads(header)
    assert lists["missed"] == []
    assert lists["found"] == phrases[: len(lists["found"])]
    assert len(lists["found"]) > 50
