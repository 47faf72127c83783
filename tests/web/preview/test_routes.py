"""The routes of the page, called without the page."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from PIL import Image

from support.web_service import image_bytes, problem

BROKEN = image_bytes(Image.linear_gradient("L"))[:-100]


def post(web: httpx.Client, path: str, body: object) -> httpx.Response:
    return web.post(f"/preview/{path}", content=body if isinstance(body, bytes) else json.dumps(body))


@pytest.mark.slow
def test_words_are_weighed(web: httpx.Client) -> None:
    answer = post(web, "words", {"caption": "a heron in the Camargue"})
    assert answer.status_code == 200
    words = answer.json()["words"]
    assert [word["text"] for word in words] == ["a", "heron", "in", "the", "Camargue"]
    assert words[1]["weight"] > words[0]["weight"] == 1
    assert all(word["reason"] for word in words)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("images/" + 64 * "0" + "/encode", {"quality": 50}, 404),
        ("images/zero/encode", {"quality": 50}, 422),
        ("samples/nobody", {}, 404),
        ("images", b"\x00", 415),
        ("images", BROKEN, 422),
    ],
)
def test_requests_that_cannot_be_answered(web: httpx.Client, path: str, body: object, status: int) -> None:
    problem(post(web, path, body), status)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("encode", {"quality": 101}),
        ("encode", {"quality": 50, "size": 1000}),
        ("encode", {"unknown": 1}),
        ("encode", b"not JSON"),
        ("encode", {"caption": 5000 * "x"}),
        ("comparison", {"codec": "GIF", "bytes": 1000}),
        ("comparison", {"codec": "JPEG", "bytes": 0}),
        ("point", {"codec": "JPEG"}),
        ("encode", {"model": "nothing"}),
        ("encode", {"steer": 101}),
        ("encode", {"effort": 10}),
        ("encode", {"keep": ["a dog"]}),
        ("encode", {"keep_box": ["0,0,9999,10=30dB"]}),
    ],
)
def test_requests_that_make_no_sense(web: httpx.Client, upload: bytes, path: str, body: object) -> None:
    answer = post(web, "images", upload)
    assert answer.status_code == 200
    digest = re.search(rb'"digest": "([0-9a-f]{64})"', answer.content)
    assert digest is not None
    assert problem(post(web, f"images/{digest[1].decode()}/{path}", body), 422)["detail"]
