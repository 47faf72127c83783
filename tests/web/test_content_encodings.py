"""Encoded bodies: undone within the limit, and refused where they are not what they say."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import httpx
import pytest
import zstandard

from support.web_service import BODY_LIMIT, problem
from tacit.web.content_encodings import DECODERS, TooLarge

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("name", DECODERS)
def test_an_encoding_is_undone_up_to_the_limit(name: str) -> None:
    encode, decode = ENCODERS[name], DECODERS[name]
    for data in (b"", b"a", b"abc" * 1000, bytes(100_000)):
        encoded = encode(data)
        assert decode(encoded, len(data)) == data
        assert decode(encoded + encode(b"more"), len(data) + 4) == data + b"more"
        if data:
            with pytest.raises(TooLarge):
                decode(encoded, len(data) - 1)
        with pytest.raises(ValueError, match=r"\w"):
            decode(encoded[:-1], 1 << 20)
        with pytest.raises(ValueError, match=r"\w"):
            decode(encoded + b"nonsense", 1 << 20)


@pytest.mark.parametrize("name", DECODERS)
def test_a_bomb_takes_no_more_memory_than_the_limit(name: str) -> None:
    bomb = ENCODERS[name](bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            DECODERS[name](bomb, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", DECODERS)
def test_encoded_bodies_are_taken(web: httpx.Client, upload: bytes, name: str) -> None:
    plain = web.post("/v1/encode", content=upload)
    answer = web.post("/v1/encode", content=ENCODERS[name](upload), headers={"content-encoding": name.upper()})
    assert answer.status_code == 200, answer.text
    assert answer.content == plain.content


@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ([("content-encoding", "br")], 415, "Content-Encoding must be one of gzip, deflate, zstd, got br"),
        ([("content-encoding", "gzip"), ("content-encoding", "zstd")], 415, "got gzip, zstd"),
        ([("content-encoding", "gzip")], 400, "the body must be gzip data, as Content-Encoding says, got other bytes"),
        ([("content-encoding", "zstd")], 400, "the body must be zstd data"),
    ],
)
def test_a_body_that_is_not_what_its_encoding_says(
    web: httpx.Client, upload: bytes, headers: list[tuple[str, str]], status: int, detail: str
) -> None:
    answer = web.post("/v1/encode", content=upload, headers=headers)
    assert detail in problem(answer, status)["detail"]
    if status == 415:
        assert answer.headers["accept-encoding"] == "gzip, deflate, zstd"


def test_identity_is_no_encoding_and_a_bomb_is_too_large(web: httpx.Client, upload: bytes) -> None:
    assert web.post("/v1/encode", content=upload, headers={"content-encoding": "identity"}).status_code == 200
    bomb = gzip.compress(bytes(50 * BODY_LIMIT))
    details = problem(web.post("/v1/info", content=bomb, headers={"content-encoding": "gzip"}), 413)
    assert details["detail"] == f"the body must have at most {BODY_LIMIT} bytes"
