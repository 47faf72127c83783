"""`GET /v1/results`: whole, in parts, and on conditions."""

from __future__ import annotations

import hashlib

import httpx

from support.web_service import problem
from tacit.web.client import Client


def test_a_result_can_be_had_again_whole_and_in_parts(client: Client, web: httpx.Client, upload: bytes) -> None:
    made = client.encode(upload, quality=61)
    digest = hashlib.sha256(made.data).hexdigest()
    assert made.location == f"/v1/results/{digest}"
    assert client.result(made.location) == made.data
    whole = web.get(made.location)
    assert (whole.headers["etag"], whole.headers["accept-ranges"]) == (f'"{digest}"', "bytes")
    assert whole.headers["content-type"] == "image/x-tacit"
    head = web.head(made.location)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(made.data)))
    size = len(made.data)
    for header, part in {
        "bytes=0-9": slice(0, 10),
        "bytes=5-": slice(5, None),
        "bytes=-7": slice(-7, None),
        f"bytes=3-{size + 99}": slice(3, None),
        f"bytes=-{size + 99}": slice(0, None),
        "BYTES=1-1": slice(1, 2),
    }.items():
        answer = web.get(made.location, headers={"Range": header})
        begin, end, _ = part.indices(size)
        assert (answer.status_code, answer.content) == (206, made.data[part]), header
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
    for ignored in ("bytes=9-3", "bytes=-", "bytes=0-1,4-5", "lines=0-1", "bytes=a-b", "bytes=1", ""):
        assert web.get(made.location, headers={"Range": ignored}).content == made.data
    for outside in (f"bytes={size}-", "bytes=-0"):
        answer = web.get(made.location, headers={"Range": outside})
        problem(answer, 416)
        assert answer.headers["content-range"] == f"bytes */{size}"


def test_conditions(client: Client, web: httpx.Client, upload: bytes) -> None:
    made = client.encode(upload, quality=62)
    tag = web.get(made.location).headers["etag"]
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = web.get(made.location, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert web.get(made.location, headers={"If-None-Match": '"x"'}).status_code == 200
    assert web.get(made.location, headers={"If-Range": tag, "Range": "bytes=0-3"}).status_code == 206
    assert web.get(made.location, headers={"If-Range": '"x"', "Range": "bytes=0-3"}).status_code == 200
