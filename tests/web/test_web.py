"""The service over real HTTP on loopback: what it makes, what it refuses, how it says so; and its client."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

import tacit
from support.chat_server import Server as ChatServer
from support.pictures import synthetic
from tacit import cli, container
from tacit.codec import Codec, EncodeOptions
from tacit.errors import (
    CorruptFile,
    ImageTooLarge,
    InvalidInput,
    MissingWeights,
    PathError,
    ServiceError,
    TargetNotReached,
    UnknownModel,
    UnsupportedFile,
)
from tacit.web.app import create_app
from tacit.web.client import Client
from tacit.web.jobs.coding import EncodeArguments
from tacit.web.jobs.prepared_images import PreparedImages
from tacit.web.negotiation import preferred
from tacit.web.server import uvicorn_config
from tacit.web.service import Service
from tacit.web.settings import ServiceSettings
from tacit.web.store import ByteStore

BODY_LIMIT, PIXEL_LIMIT = 400_000, 150_000


@contextlib.contextmanager
def served(settings: ServiceSettings) -> Iterator[tuple[str, Service]]:
    """A service on a free port of loopback, and what it is made of."""
    app = create_app(settings)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn_config(app))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", app.state.service
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def service(tiny_weights: Path) -> Iterator[tuple[str, Service]]:
    settings = ServiceSettings(
        model=str(tiny_weights), workers=2, queue=2, body_limit=BODY_LIMIT, pixel_limit=PIXEL_LIMIT, cache=2_000_000
    )
    with served(settings) as found:
        yield found


@pytest.fixture(scope="module")
def url(service: tuple[str, Service]) -> str:
    return service[0]


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with Client(url) as found:
        yield found


@pytest.fixture(scope="module")
def web(url: str) -> Iterator[Any]:
    with httpx.Client(base_url=url, timeout=60) as found:
        yield found


@pytest.fixture
def bare(tiny_weights: Path) -> Callable[..., TestClient]:
    """An application that is not started: all but its workers' work can be asked of it."""

    def make(**options: Any) -> TestClient:
        return TestClient(create_app(ServiceSettings(model=str(tiny_weights), workers=1, **options)))

    return make


def png(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, options.pop("format", "PNG"), **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photo() -> bytes:
    return png(Image.fromarray(synthetic(150, 100)))


@pytest.fixture(scope="module")
def file(client: Client, photo: bytes) -> bytes:
    return client.encode(photo, "a dog", quality=70).data


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The details, if the answer is a problem as RFC 9457 has it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["title"]
    assert found["type"] == "about:blank" or found["type"].startswith("urn:tacit:")
    return found


# What it makes


def test_a_photograph_becomes_the_file_that_the_codec_makes(
    client: Client, codec: Codec, photo: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(photo)
    for source in (photo, path, str(path), io.BytesIO(photo)):
        found = client.encode(source, "a dog", quality=33.333, store_caption=True)
        assert (found.width, found.height, found.quality, found.psnr) == (150, 100, 33.33, None)
        assert found.media_type == "image/x-tacit"
        assert found.bpp == pytest.approx(8 * len(found.data) / 15_000, rel=1e-5)
        about = tacit.info(found.data)
        assert (about.caption, about.quality) == ("a dog", 33.33)
        assert found.warnings == ()
    # of the same weights; the transforms' precision may differ
    reference = codec.decode(codec.encode(photo, "a dog", 33.333))
    assert np.abs(np.asarray(codec.decode(found.data)).astype(int) - np.asarray(reference)).mean() < 1


@pytest.mark.parametrize("target", [{"size": 1500}, {"bpp": 0.9}, {"psnr": 20.0}, {"quality": 0}, {}])
def test_targets_are_reached(client: Client, photo: bytes, target: dict[str, Any]) -> None:
    found = client.encode(photo, **target)
    assert len(found.data) <= target.get("size", 1e9)
    assert found.bpp <= target.get("bpp", 100)
    assert (found.psnr or 0) >= target.get("psnr", 0)
    assert found.quality == pytest.approx(target.get("quality", found.quality if target else 50))


def test_a_caption_steers_as_far_as_is_asked(client: Client, tiny_weights: Path) -> None:
    photo = png(Image.fromarray(synthetic(200, 150)))
    usual, far, nowhere = (client.encode(photo, "a dog", steer=steer).data for steer in (None, 60, 0))
    maps = [container.read(data).header.quality_map for data in (usual, far, nowhere)]
    reference = container.read(Codec(tiny_weights).encode(photo, "a dog")).header.quality_map
    assert maps[0] == reference
    assert maps[1] not in (None, reference)
    assert maps[2] is None
    assert client.encode(photo, "a dog").data == usual  # nobody else's steering is left over


def test_words_may_count_by_their_weights(client: Client, photo: bytes) -> None:
    plain, weighed = (client.encode(photo, "a retriever", word_weights=weigh) for weigh in (False, True))
    assert plain.data != weighed.data
    assert tacit.info(plain.data).weights_hash == tacit.info(weighed.data).weights_hash


def test_a_request_may_name_another_model(client: Client, photo: bytes, tiny_weights: Path) -> None:
    own, *others = client.models()
    assert others
    for model in (own, *others):
        assert tacit.info(client.encode(photo, model=model.name).data).weights_hash == model.weights_hash
    for name in ("nothing", str(tiny_weights)):  # a path is nobody's business
        with pytest.raises(UnknownModel, match="model must be one of tiny, tacit-s"):
            client.encode(photo, model=name)


def test_metadata_is_kept_or_not_and_losses_are_told(client: Client) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data = png(Image.new("RGB", (20, 10)), exif=exif.tobytes())
    assert tacit.info(client.encode(data).data).exif_bytes
    assert not tacit.info(client.encode(data, keep_metadata=False).data).exif_bytes
    deep = png(Image.fromarray(np.full((9, 9), 40_000, np.uint16)))
    assert client.encode(deep).warnings == ("image: 16-bit samples are reduced to 8 bits",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_files_become_images_of_the_format_that_is_accepted(client: Client, file: bytes, kind: str) -> None:
    found = client.decode(file, media_type=f"image/{kind.lower()}")
    assert (found.media_type, found.width, found.height) == (f"image/{kind.lower()}", 150, 100)
    with Image.open(io.BytesIO(found.data)) as image:
        assert (image.format, image.size) == (kind, (150, 100))
        image.load()


def test_parts_and_damage(client: Client, file: bytes) -> None:
    part = client.decode(file, box=(10, 20, 74, 50))
    assert (part.width, part.height) == (64, 30)
    damaged = bytearray(file)
    damaged[-20] ^= 1
    with pytest.raises(CorruptFile, match="checksum"):
        client.decode(bytes(damaged))
    salvaged = client.decode(bytes(damaged), salvage=True)
    assert salvaged.width == 150
    assert "region 0 is lost" in salvaged.warnings[0]


def test_what_a_file_says_of_itself(client: Client, photo: bytes, file: bytes) -> None:
    # the worker knows its weights by their path; this process does not, nor does `info`
    assert client.info(file) == tacit.info(file)
    assert client.info(io.BytesIO(file)).width == 150


def test_the_models(client: Client, web: Any) -> None:
    default, *others = client.models()
    assert (default.name, default.architecture, default.default) == ("tiny", "tacit-s", True)
    assert not any(model.default for model in others)
    about = web.get("/v1/models").json()
    assert (about["body_limit"], about["pixel_limit"], about["captioner"]) == (BODY_LIMIT, PIXEL_LIMIT, None)


def test_a_broken_weights_file_is_no_model(
    bare: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    assert "broken" not in [model["name"] for model in bare().get("/v1/models").json()["models"]]


def test_bodies_may_come_in_pieces(web: Any, photo: bytes) -> None:
    pieces = (photo[start : start + 1000] for start in range(0, len(photo), 1000))
    answer = web.post("/v1/encode", content=pieces)
    assert answer.status_code == 200, answer.text
    assert "content-length" in answer.headers
    assert re.fullmatch(r"work;dur=\d+\.\d", answer.headers["server-timing"])


# Results again


def test_a_result_can_be_had_again_whole_and_in_parts(client: Client, web: Any, photo: bytes) -> None:
    made = client.encode(photo, quality=61)
    digest = hashlib.sha256(made.data).hexdigest()
    assert made.location == f"/v1/results/{digest}"
    assert client.result(made.location) == made.data
    whole = web.get(made.location)
    assert (whole.headers["etag"], whole.headers["accept-ranges"]) == (f'"{digest}"', "bytes")
    assert whole.headers["content-type"] == "image/x-tacit"
    head = web.head(made.location)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(made.data)))
    size = len(made.data)
    for asked, part in {
        "bytes=0-9": slice(0, 10),
        "bytes=5-": slice(5, None),
        "bytes=-7": slice(-7, None),
        f"bytes=3-{size + 99}": slice(3, None),
        f"bytes=-{size + 99}": slice(0, None),
        "BYTES=1-1": slice(1, 2),
    }.items():
        found = web.get(made.location, headers={"Range": asked})
        begin, end, _ = part.indices(size)
        assert (found.status_code, found.content) == (206, made.data[part]), asked
        assert found.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
    for ignored in ("bytes=9-3", "bytes=-", "bytes=0-1,4-5", "lines=0-1", "bytes=a-b", "bytes=1", ""):
        assert web.get(made.location, headers={"Range": ignored}).content == made.data
    for outside in (f"bytes={size}-", "bytes=-0"):
        answer = web.get(made.location, headers={"Range": outside})
        problem(answer, 416)
        assert answer.headers["content-range"] == f"bytes */{size}"


def test_conditions(client: Client, web: Any, photo: bytes) -> None:
    made = client.encode(photo, quality=62)
    tag = web.get(made.location).headers["etag"]
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = web.get(made.location, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert web.get(made.location, headers={"If-None-Match": '"x"'}).status_code == 200
    assert web.get(made.location, headers={"If-Range": tag, "Range": "bytes=0-3"}).status_code == 206
    assert web.get(made.location, headers={"If-Range": '"x"', "Range": "bytes=0-3"}).status_code == 200


def test_memory_of_results_is_bounded() -> None:
    store = ByteStore(1000, 0.2)
    first = store.put(b"a" * 400, "x/y")
    store.put(b"b" * 400, "x/y")
    assert store.put(b"b" * 400, "x/y").digest == hashlib.sha256(b"b" * 400).hexdigest()
    assert store.bytes == 800
    assert store.get(first.digest) is not None  # and is the newest now
    store.put(b"c" * 400, "x/y")
    assert store.get(hashlib.sha256(b"b" * 400).hexdigest()) is None
    assert store.get(first.digest) is not None
    assert store.put(b"d" * 1001, "x/y").data
    assert store.bytes == 800
    time.sleep(0.25)
    assert store.get(first.digest) is None
    assert store.bytes == 0


# What it refuses


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        ({"url": "/v1/encode", "content": b"nothing"}, 415, "not an image of a known format"),
        ({"url": "/v1/encode", "content": b""}, 415, "not an image of a known format"),
        ({"url": "/v1/encode", "content": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}, 415, "not an image"),
        ({"url": "/v1/encode?quality=101", "content": b"x"}, 422, "quality: Input should be less than or equal to 100"),
        ({"url": "/v1/encode?quality=nan", "content": b"x"}, 422, "quality: Input should be a finite number"),
        ({"url": "/v1/encode?qualty=10", "content": b"x"}, 422, "qualty: Extra inputs are not permitted"),
        ({"url": "/v1/encode", "json": {}}, 415, "of type image/, got Content-Type application/json"),
        ({"url": "/v1/encode", "files": {"file": b"x"}}, 415, "multipart/form-data"),
        ({"url": "/v1/decode", "content": b"nothing"}, 415, "not a .tacit file"),
        ({"url": "/v1/decode?crop=1,2,3", "content": b"x"}, 422, "crop: String should match pattern"),
        ({"url": "/v1/decode", "content": b"x", "headers": {"Accept": "image/gif"}}, 406, "one of image/png"),
        ({"url": "/v1/decode", "content": b"x", "headers": {"Content-Type": "image/png"}}, 415, "image/x-tacit"),
        ({"url": "/v1/info", "content": b"nothing"}, 415, "not a .tacit file"),
        ({"url": "/v1/encode", "content": b"x" * (BODY_LIMIT + 1)}, 413, f"at most {BODY_LIMIT} bytes"),
        ({"url": "/v1/caption", "content": b"x"}, 404, "has no captioner"),
        ({"url": "/nowhere", "method": "GET"}, 404, None),
        ({"url": "/nowhere"}, 405, None),  # where nothing is, the page's files might be
        ({"url": "/v1/encode", "method": "DELETE"}, 405, None),
        ({"url": "/v1/encode", "method": "GET"}, 405, None),
        ({"url": "/v1/results/" + "0" * 64, "method": "GET"}, 404, "not kept"),
        ({"url": "/v1/results/x", "method": "GET"}, 422, "digest: String should match pattern"),
    ],
)
def test_errors_are_problems(web: Any, request_: dict[str, Any], status: int, detail: str | None) -> None:
    asked = dict(request_)
    answer = web.request(asked.pop("method", "POST"), asked.pop("url"), **asked)
    found = problem(answer, status)
    assert (detail or "") in found.get("detail", "")
    if status == 422 and found["type"] == "about:blank":
        assert found["errors"][0]["in"]


def test_the_client_raises_what_the_codec_raises(client: Client, photo: bytes, file: bytes, tmp_path: Path) -> None:
    for kind, work in {
        UnsupportedFile: lambda: client.decode(b"nothing"),
        CorruptFile: lambda: client.decode(file[:-3]),
        TargetNotReached: lambda: client.encode(photo, size=20),
        InvalidInput: lambda: client.encode(photo, quality=5, size=100),
        ImageTooLarge: lambda: client.encode(png(Image.new("L", (400, 400)))),
        PathError: lambda: client.info(tmp_path / "nothing"),
    }.items():
        with pytest.raises(kind) as caught:
            work()
        assert type(caught.value) is kind
    with pytest.raises(InvalidInput, match="less than or equal to 100"):
        client.encode(photo, quality=101)
    with pytest.raises(ServiceError, match="404 this service has no captioner") as refused:
        client.caption(photo)
    assert refused.value.status == 404
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ServiceError, match=r"127\.0\.0\.1:9"):
        nobody.models()
    with pytest.raises(InvalidInput, match=r"url must begin with .* got 'localhost'"):
        Client("localhost")


def test_weights_that_are_not_here_are_named(client: Client, uneven_codec: Codec, photo: bytes) -> None:
    with pytest.raises(MissingWeights, match="weights"):
        client.decode(uneven_codec.encode(photo))


def test_limits_hold_before_anything_is_decoded(web: Any, service: tuple[str, Service], photo: bytes) -> None:
    # a picture of 20,000 x 20,000 pixels in its header, and no pixel behind it
    bomb = bytearray(png(Image.new("L", (1, 1))))
    header = b"IHDR" + (20_000).to_bytes(4, "big") * 2 + bytes(bomb[24:29])
    bomb[12:33] = header + zlib.crc32(header).to_bytes(4, "big")
    found = problem(web.post("/v1/encode", content=bytes(bomb)), 413)
    assert "at most 150000 pixels, got 20000 x 20000 = 400000000" in found["detail"]
    large = Codec(service[1].settings.model).encode(Image.new("L", (400, 400)))
    assert "at most 150000 pixels" in problem(web.post("/v1/decode", content=large), 413)["detail"]
    # a body that says it is too large is not waited for, one that does not say is cut off
    with socket.create_connection((web.base_url.host, web.base_url.port)) as raw:
        raw.sendall(b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")
    pieces = (b"x" * 65_536 for _ in range(1000))
    with contextlib.suppress(httpx.HTTPError):  # it may have hung up while we were still sending
        problem(web.post("/v1/encode", content=pieces), 413)


def test_slow_bodies_are_not_waited_for(bare: Callable[..., TestClient]) -> None:
    app = bare(body_time=0.05).app

    async def ask() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.02)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/encode", "headers": [], "query_string": b""}
        await app({**scope, "http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)  # type: ignore[operator]
        return sent

    start, body, *_ = asyncio.run(ask())
    assert start["status"] == 408
    assert json.loads(body["body"])["detail"] == "the body did not arrive within 0.05 seconds"


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + 99 * b"\0" + b"\r\n\r\n"]
)
def test_what_is_no_http_is_answered_with_a_problem_too(url: str, sent: bytes) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(sent)
        raw.settimeout(30)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status == "HTTP/1.1 400 Bad Request"
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert headers["x-content-type-options"] == "nosniff"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "Invalid HTTP request received.",
    }


def test_a_body_that_is_no_http_after_the_answer_has_begun_does_no_harm(url: str, web: Any) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        raw.settimeout(30)
        assert b"400 Bad Request" in b"".join(iter(lambda: raw.recv(4096), b""))
    assert web.get("/healthz").status_code == 200


def test_clients_that_leave_do_no_harm(url: str, service: tuple[str, Service], web: Any, photo: bytes) -> None:
    address = url.removeprefix("http://").split(":")
    for sent in (b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc", b"POST /v1/enc"):
        with socket.create_connection((address[0], int(address[1]))) as raw:
            raw.sendall(sent)
    head = f"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: {len(photo)}\r\n\r\n".encode()
    with socket.create_connection((address[0], int(address[1]))) as raw:
        raw.sendall(head + photo)
    assert web.post("/v1/encode", content=photo).status_code == 200
    deadline = time.monotonic() + 20
    while (service[1].bodies or service[1].pool.jobs) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (service[1].bodies, service[1].pool.jobs) == (0, 0)


# Under load


def test_nothing_is_lost_when_workers_die_and_too_much_is_refused(
    url: str, service: tuple[str, Service], web: Any, photo: bytes
) -> None:
    restarts = service[1].pool.restarts
    pids = [worker.pid for worker in service[1].pool.workers]
    lost: list[str] = []

    def ask(number: int) -> None:
        try:
            with Client(url, attempts=100) as client:
                for part in range(3):
                    assert tacit.info(client.encode(photo, quality=number * 3 + part).data).width == 150
        except Exception as error:  # a thread's would be unseen
            lost.append(repr(error))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    refused = [web.post("/v1/encode", content=photo) for _ in range(3)]
    os.kill(next(pid for pid in pids if pid), signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert lost == []
    for answer in refused:
        if answer.status_code != 200:
            assert problem(answer, 429)["type"] == "urn:tacit:Overloaded"
            assert int(answer.headers["retry-after"]) >= 1
    assert service[1].pool.restarts > restarts
    counted = web.get("/metrics").text
    assert re.search(r'tacit_requests_total\{method="POST",route="/v1/encode",status="429"\} [1-9]', counted)
    assert re.search(r"tacit_worker_restarts_total [1-9]", counted)


def test_health_and_metrics(web: Any) -> None:
    assert web.get("/healthz").json() == {"status": "ok", "version": tacit.__version__, "workers": 2}
    web.request("BREW", "/v1/models")
    counted = web.get("/metrics")
    assert counted.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'tacit_requests_total{method="GET",route="/healthz",status="200"}' in counted.text
    assert 'tacit_request_seconds_bucket{le="0.5",route="/v1/encode"}' in counted.text
    assert "BREW" not in counted.text
    assert "tacit_jobs_capacity 4.0" in counted.text


def test_ill_health(bare: Callable[..., TestClient]) -> None:
    assert problem(bare().get("/healthz"), 503)["detail"] == "no worker is running"


def test_faults_are_problems_and_tell_nothing(
    bare: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = bare()

    async def fault(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(client.app.state.service.pool, "run", fault)  # type: ignore[attr-defined]
    answer = client.post("/v1/info", content=b"x")
    assert "secret" not in json.dumps(problem(answer, 500))
    assert "secret" in caplog.text


# Who may


def test_a_token_is_asked_for(bare: Callable[..., TestClient]) -> None:
    client = bare(token="s3cret")
    for path in ("/v1/models", "/metrics"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
            answer = client.get(path, headers=headers)
            problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get(path, headers={"Authorization": "Bearer s3cret"}).status_code == 200
    problem(client.post("/v1/encode", content=b"x"), 401)
    assert client.get("/healthz").status_code == 503  # open to all
    assert client.get("/openapi.json").json()["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_pages_elsewhere_may_use_it_only_where_they_are_named(bare: Callable[..., TestClient]) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in bare().options("/v1/encode", headers=headers).headers
    allowed = bare(origins=("https://a.example",))
    assert allowed.options("/v1/encode", headers=headers).headers["access-control-allow-origin"] == headers["Origin"]
    other = allowed.get("/v1/models", headers={"Origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_name_that_is_not_its_own_is_refused(bare: Callable[..., TestClient]) -> None:
    client = bare(hosts=("127.0.0.1", "::1"))
    for host, status in {"127.0.0.1:8000": 200, "[::1]:8000": 200, "127.0.0.1": 200, "evil.example": 421}.items():
        assert client.get("/v1/models", headers={"Host": host}).status_code == status
    problem(client.get("/v1/models", headers={"Host": "evil.example"}), 421)


def test_the_page_is_there(web: Any) -> None:
    page = web.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert web.get("/index.html").text == page.text
    for path, allowed in {"/v1/models": "GET", "/v1/encode": "POST", f"/v1/results/{64 * '0'}": "GET, HEAD"}.items():
        assert web.request("PUT", path).headers["allow"] == allowed


def test_headers_are_safe(web: Any) -> None:
    for path in ("/", "/healthz", "/openapi.json"):
        headers = web.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"


def test_settings_that_cannot_be() -> None:
    for options, message in (
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"queue": -1}, "queue must be at least 0, got -1"),
        ({"time_limit": float("nan")}, "time_limit must be a positive number of seconds, got nan"),
        ({"token": ""}, "token must have at least one"),
        ({"token": "a\nb"}, "token must have at least one"),
    ):
        with pytest.raises(InvalidInput, match=message):
            ServiceSettings(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accept", "offer"),
    [
        (None, "image/png"),
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/avif,image/webp,*/*;q=0.8", "image/webp"),
        ("image/avif;q=0.5, image/webp ; Q=0.7", "image/webp"),
        ("image/*;q=0.1, IMAGE/JPEG", "image/jpeg"),
        ("image/*, image/png;q=0", "image/webp"),
        ("text/html, application/json", None),
        ("image/png;q=0", None),
        ("image/png;q=x, image/webp;q=2, nonsense, ;;", None),
    ],
)
def test_negotiation(accept: str | None, offer: str | None) -> None:
    assert preferred(accept, ("image/png", "image/webp", "image/avif", "image/jpeg")) == offer


# Captions


def test_captions_come_from_the_endpoint_that_was_named(
    chat_server: ChatServer, bare: Callable[..., TestClient], photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = bare(caption_url=chat_server.url, caption_model="gpt-4o-mini")
    found: Service = client.app.state.service  # type: ignore[attr-defined]

    async def here(function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    monkeypatch.setattr(found.pool, "run", here)
    answer = client.post("/v1/caption", content=photo)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "gpt-4o-mini"
    assert answer.json()["caption"]
    assert client.get("/v1/models").json()["captioner"] == "gpt-4o-mini"


# The pictures that a worker keeps


def test_a_worker_keeps_what_it_has_analysed(codec: Codec, monkeypatch: pytest.MonkeyPatch, photo: bytes) -> None:
    monkeypatch.setattr("tacit.web.workers.codecs._codec", codec)
    kept = PreparedImages(pixels=40_000)
    plain, named = EncodeArguments(), EncodeArguments(caption="a dog")
    first = kept.get(photo, "a", plain, PIXEL_LIMIT)
    assert kept.get(photo, "a", EncodeArguments(options=EncodeOptions(quality=7)), PIXEL_LIMIT) is first
    other = kept.get(b"not read", "a", named, PIXEL_LIMIT)  # the photograph is known
    assert other.raster is first.raster
    with pytest.raises(UnsupportedFile):
        kept.get(b"not read", "b", plain, PIXEL_LIMIT)
    kept.get(photo, "c", plain, PIXEL_LIMIT)  # 45,000 pixels: the oldest goes
    assert kept.get(photo, "a", named, PIXEL_LIMIT) is other
    assert kept.get(photo, "a", plain, PIXEL_LIMIT) is not first


# The command


def test_the_command_serves_until_it_is_told_to_end(tiny_weights: Path, tmp_path: Path, photo: bytes) -> None:
    command = [sys.executable, "-m", "tacit", "serve", "--port", "0", "--workers", "1", "-m", str(tiny_weights)]

    def write_no_file() -> None:
        """Whatever it writes must be in memory or a pipe."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=write_no_file,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url), process.communicate()
        answers: list[Any] = []
        # a search takes a while: it is under way when the signal comes
        asking = threading.Thread(target=lambda: answers.append(httpx.post(f"{url}/v1/encode?psnr=25", content=photo)))
        asking.start()
        deadline = time.monotonic() + 30
        while "running 1.0" not in httpx.get(f"{url}/metrics").text and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert [answer.status_code for answer in answers] == [200]
        assert process.wait(30) == 0
        assert process.communicate() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_wrong(tiny_weights: Path) -> None:
    run = CliRunner().invoke
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run(cli.command, ["serve", "--port", port, "-m", str(tiny_weights)])
        assert isinstance(result.exception, PathError)
        assert f"cannot listen at 127.0.0.1 port {port}: Address already in use" in str(result.exception)
    for arguments, message in (
        (["-m", "nothing"], "a weights file, got 'nothing'"),
        (["--token", ""], "token must have at least one"),
        (["--workers", "0"], "--workers"),
        (["--pixel-limit", "nan"], "is not a number"),
    ):
        result = run(cli.command, ["serve", *arguments])
        assert result.exit_code == 2
        assert message in result.output
