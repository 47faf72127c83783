"""Captions from an endpoint: what is sent, what is tried again, and what an answer is."""

from __future__ import annotations

import base64
import email.utils
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from support.chat_server import KEY, Reply, Server, body, caption, cut, dripping, error, hang_up, sleepy
from tacit.captions import EndpointCaptioner, EndpointOptions
from tacit.captions.caption_text import tidy_answer
from tacit.captions.chat_endpoint import _retry_after
from tacit.container import MAX_CAPTION
from tacit.errors import CaptionerError, CaptionerUnusable, InvalidInput, TacitError

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


@pytest.fixture
def captioner(chat_server: Server) -> Iterator[Callable[..., EndpointCaptioner]]:
    made: list[EndpointCaptioner] = []

    def make(say: Callable[[str], object] | None = None, **options: Any) -> EndpointCaptioner:
        usual: dict[str, Any] = {"base_url": chat_server.url, "rate": 100_000, "timeout": 5, "backoff": 0.01}
        made.append(EndpointCaptioner("Describe it.", EndpointOptions(**usual | options), say=say))
        return made[-1]

    yield make
    for one in made:
        one.close()


PICTURE = Image.new("RGB", (1500, 500), (200, 30, 40))


def test_the_request_is_the_prompt_and_a_small_jpeg(chat_server: Server, captioner: Any) -> None:
    assert captioner(model="some-model", image_size=600, max_tokens=77)(PICTURE) == "a red boat"
    (asked,) = chat_server.asked
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("some-model", 77, 0)
    ((said, shown),) = [message["content"] for message in asked["messages"]]
    assert said == {"type": "text", "text": "Describe it."}
    prefix, data = shown["image_url"]["url"].split(",")
    assert prefix == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (image.format, image.size) == ("JPEG", (600, 200))
        assert image.getpixel((300, 100)) == pytest.approx((200, 30, 40), abs=4)


def test_a_small_image_is_not_enlarged_and_the_callers_is_left_alone(chat_server: Server, captioner: Any) -> None:
    image = Image.new("RGB", (1500, 500))
    captioner(image_size=2000)(image)
    assert image.size == (1500, 500)
    data = chat_server.asked[0]["messages"][0]["content"][1]["image_url"]["url"].split(",")[1]
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert sent.size == (1500, 500)


def test_no_metadata_is_sent(chat_server: Server, captioner: Any) -> None:
    image = Image.new("RGB", (64, 64))
    secret = b"GPS: my garden"
    exif = Image.Exif()
    exif[0x010E] = secret.decode()
    image.info = {"comment": secret, "xmp": secret, "exif": exif.tobytes(), "icc_profile": secret, "photoshop": secret}
    captioner()(image)
    data = chat_server.asked[0]["messages"][0]["content"][1]["image_url"]["url"].split(",")[1]
    assert secret not in base64.b64decode(data)
    assert image.info["comment"] == secret


def test_the_key_goes_into_the_header_and_nowhere_else(
    chat_server: Server, captioner: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    one = captioner()
    one(PICTURE)
    assert chat_server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(chat_server.asked)
    assert KEY not in json.dumps(dict(one.settings))
    assert KEY not in repr(one)
    assert KEY not in caplog.text
    monkeypatch.delenv("OPENAI_API_KEY")
    captioner()(PICTURE)
    assert "Authorization" not in chat_server.headers[1]


@pytest.mark.parametrize("reply", [error(401, f"Incorrect key: {KEY}"), body(f"<p>{KEY}</p>".encode(), 418)])
def test_a_key_that_the_server_quotes_is_blotted_out(chat_server: Server, captioner: Any, reply: Reply) -> None:
    chat_server.replies = [reply]
    with pytest.raises(CaptionerError, match=r"\[key\]") as caught:
        captioner()(PICTURE)
    assert KEY not in str(caught.value)


def test_openai_is_not_asked_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with EndpointCaptioner("Describe it.") as one, pytest.raises(CaptionerUnusable, match="set OPENAI_API_KEY"):
        one(PICTURE)


@pytest.mark.parametrize("key", ["sk-\u20ac", "sk-1\nX: y"])
def test_what_cannot_be_a_key_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InvalidInput, match="OPENAI_API_KEY must have printable ASCII characters") as caught:
        EndpointCaptioner("Describe it.")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "api.openai.com", "ftp://x/v1", "https://me:secret@x/v1", "https://x/v1?key=secret"]
)
def test_base_urls_that_are_none_are_refused_unseen(url: str) -> None:
    with pytest.raises(InvalidInput, match="base URL") as caught:
        EndpointCaptioner("Describe it.", EndpointOptions(base_url=url))
    assert "secret" not in str(caught.value)


def test_redirects_are_not_followed(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [body(b"", 307, Location="http://127.0.0.1:9/steal")]
    with pytest.raises(CaptionerUnusable, match="HTTP 307"):
        captioner()(PICTURE)
    assert len(chat_server.asked) == 1


TROUBLE: dict[str, Reply] = {
    "429": error(429, "slow down", "rate_limit_exceeded"),
    "500": error(500),
    "502, a page": body(b"<html>Bad gateway</html>", 502),
    "503": error(503),
    "408": error(408),
    "cut off": cut,
    "hung up": hang_up,
    "no JSON": body(b"not { JSON"),
    "empty": body(b""),
    "other JSON": body(b"[1, 2]"),
    "no choice": body(b'{"choices": []}'),
    "null": body(b'{"choices": [{"message": null}]}'),
    "no text": caption(None),
    "blank text": caption("  \n"),
    "deep JSON": body(b"[" * 100_000),
    "no UTF-8": body(b'{"choices": "\xff"}'),
    "no gzip": body(b"no gzip", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_passing_trouble_is_tried_again(chat_server: Server, captioner: Any, name: str) -> None:
    chat_server.replies = [TROUBLE[name], TROUBLE[name], caption("a red boat")]
    assert captioner()(PICTURE) == "a red boat"
    assert len(chat_server.asked) == 3
    assert chat_server.asked[0] == chat_server.asked[2]


@pytest.mark.parametrize("name", TROUBLE)
def test_lasting_trouble_is_told_after_all_attempts(chat_server: Server, captioner: Any, name: str) -> None:
    chat_server.replies = [TROUBLE[name]]
    with pytest.raises(
        CaptionerError, match=r"^no answer from http://127\.0\.0\.1:\d+/\S+ after 3 attempts: "
    ) as caught:
        captioner(attempts=3)(PICTURE)
    assert not isinstance(caught.value, CaptionerUnusable)
    assert "\n" not in str(caught.value)
    assert len(chat_server.asked) == 3


@pytest.mark.parametrize("reply", [sleepy, dripping])
def test_a_server_that_takes_its_time_is_left(chat_server: Server, captioner: Any, reply: Reply) -> None:
    chat_server.replies = [reply, caption("a red boat")]
    start = time.monotonic()
    assert captioner(timeout=0.5)(PICTURE) == "a red boat"
    assert time.monotonic() - start < 4
    assert len(chat_server.asked) == 2


def test_requests_that_are_repeated_are_told(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [error(500), sleepy, caption("a red boat")]
    lines: list[str] = []
    assert captioner(attempts=3, timeout=0.3, say=lines.append)(PICTURE) == "a red boat"
    assert lines == [
        "HTTP 500: no; asking again, attempt 2 of 3",
        "no answer within 0.3 s; asking again, attempt 3 of 3",
    ]


def test_a_server_that_is_not_there(captioner: Any) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        one = captioner(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1", attempts=2)
        with pytest.raises(CaptionerError, match="after 2 attempts: ConnectError"):
            one(PICTURE)


def test_an_endless_answer_is_left(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [body(b" " * (5 << 20))]
    with pytest.raises(CaptionerError, match="more than 4,194,304 bytes"):
        captioner()(PICTURE)


def test_waits_grow_without_being_told(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [error(500)] * 3 + [caption("a red boat")]
    captioner(backoff=0.1)(PICTURE)
    waits = [later - sooner for sooner, later in zip(chat_server.times, chat_server.times[1:], strict=False)]
    for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True):
        assert wait >= least * 0.99


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for(chat_server: Server, captioner: Any, status: int) -> None:
    chat_server.replies = [error(status, Retry_After="0.4"), caption("a red boat")]
    assert captioner()(PICTURE) == "a red boat"
    assert chat_server.times[1] - chat_server.times[0] >= 0.39


def test_retry_after_holds_for_all_threads(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [error(429, Retry_After="0.5"), caption("a red boat")]
    one = captioner()
    start = time.monotonic()
    first = threading.Thread(target=one, args=(PICTURE,))
    first.start()
    while one._endpoint._rate_limit._next < start + 0.4:  # until the answer has been read
        time.sleep(0.01)
    one(PICTURE)
    first.join()
    assert len(chat_server.times) == 3
    assert min(chat_server.times[1:]) - chat_server.times[0] >= 0.49


def test_retry_after_of_hours_ends_the_run(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [error(429, "come back tomorrow", Retry_After="7200")]
    with pytest.raises(CaptionerUnusable, match="wait 7,200 s: HTTP 429: come back tomorrow"):
        captioner()(PICTURE)
    assert len(chat_server.asked) == 1


def test_retry_after_in_all_its_forms() -> None:
    def wait(value: str) -> float | None:
        return _retry_after({"retry-after": value})

    assert wait("3") == 3
    assert wait(" 1.5 ") == 1.5
    assert wait(email.utils.formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=1.5)
    assert wait(email.utils.formatdate(time.time() - 30, usegmt=True)) == 0
    assert [wait(value) for value in ("", "soon", "-3", "nan", "1e9", "Mon, 99 Foo 99999 99:99:99 GMT")] == [None] * 6
    assert _retry_after({}) is None


@pytest.mark.parametrize(
    "reply",
    [
        error(401, "bad key"),
        error(403, "not for you"),
        error(404, "no such model"),
        error(402, "pay first"),
        error(429, "You exceeded your current quota", "insufficient_quota", Retry_After="1"),
    ],
)
def test_what_holds_for_every_image_is_told_at_once(chat_server: Server, captioner: Any, reply: Reply) -> None:
    chat_server.replies = [reply]
    one = captioner()
    for _ in range(3):
        with pytest.raises(CaptionerUnusable, match=r"HTTP 4\d\d: "):
            one(PICTURE)
    assert len(chat_server.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        caption(None, refusal="I will not describe this."),
        caption("It shows", finish="content_filter"),
        caption("I'm sorry, but I can't help with that."),
        caption("I\u2019m unable to describe people."),
        caption("Sorry, no."),
        caption("I cannot see images."),
        caption("As an AI, I have no eyes."),
        error(400, "filtered", "content_filter"),
        error(400, "policy", "content_policy_violation"),
    ],
)
def test_refusals_are_errors_of_that_image_alone(chat_server: Server, captioner: Any, reply: Reply) -> None:
    chat_server.replies = [reply, caption("a red boat")]
    one = captioner()
    with pytest.raises(CaptionerError, match="refused: ") as caught:
        one(PICTURE)
    assert not isinstance(caught.value, CaptionerUnusable)
    assert len(chat_server.asked) == 1
    assert one(PICTURE) == "a red boat"


@pytest.mark.parametrize(
    "text", ['A sorry sight: a bent sign reads "I can\'t".', "I-beams of rusty steel.", "Sorrel horses."]
)
def test_captions_that_only_look_like_refusals(chat_server: Server, captioner: Any, text: str) -> None:
    chat_server.replies = [caption(text)]
    assert captioner()(PICTURE) == text


def test_other_bad_requests_are_told_at_once(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [error(413, "too large")]
    with pytest.raises(CaptionerError, match="HTTP 413: too large"):
        captioner()(PICTURE)
    assert len(chat_server.asked) == 1


def test_newer_models_limits_are_learned_once(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [
        error(400, "use max_completion_tokens", "unsupported_parameter", "max_tokens"),
        caption("one"),
        error(400, "only the default", "unsupported_value", "temperature"),
        caption("two"),
        caption("three"),
    ]
    one = captioner(max_tokens=50)
    assert [one(PICTURE) for _ in range(3)] == ["one", "two", "three"]
    assert len(chat_server.asked) == 5
    assert chat_server.asked[1]["max_completion_tokens"] == 50
    assert "max_tokens" not in chat_server.asked[1]
    assert chat_server.asked[1]["temperature"] == 0
    assert chat_server.asked[4].keys() == {"model", "messages", "max_completion_tokens"}


def test_an_answer_cut_short_ends_with_a_sentence(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [
        caption('A boat. A sign reads "Go!" Behind it a tr', finish="length"),
        caption("A boat of 3.5 m under a tr", finish="length"),
    ]
    one = captioner()
    assert one(PICTURE) == 'A boat. A sign reads "Go!"'
    assert one(PICTURE) == "A boat of 3.5 m under a tr"


def test_answers_are_made_one_clean_paragraph(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [caption(" A boat.\r\n\nA \x00tree\u200b \ud800and\tsky. ")]
    assert captioner()(PICTURE) == "A boat. A tree\u200b and sky."
    with pytest.raises(CaptionerError, match="empty"):
        tidy_answer("\x00 \x07")
    with pytest.raises(CaptionerError, match="at most 65,535 bytes of UTF-8, got 65,536"):
        tidy_answer("x" * (MAX_CAPTION + 1))


def test_requests_of_all_threads_share_one_rate(chat_server: Server, captioner: Any) -> None:
    def slow(handler: Any) -> None:
        time.sleep(0.4)
        caption("a red boat")(handler)

    chat_server.replies = [slow]
    one = captioner(rate=60 / 0.05)
    threads = [threading.Thread(target=one, args=(PICTURE,)) for _ in range(6)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Only lower bounds: a busy machine may be late, and must not be early.
    for count, arrived in enumerate(sorted(chat_server.times)):
        assert arrived - start >= count * 0.05 * 0.99
    assert chat_server.most > 1  # together all the same


def test_stop_ends_what_waits(chat_server: Server, captioner: Any) -> None:
    chat_server.replies = [error(429, Retry_After="60")]
    one = captioner()
    failed: list[TacitError] = []

    def ask() -> None:
        try:
            one(PICTURE)
        except TacitError as problem:
            failed.append(problem)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while not chat_server.asked:
        time.sleep(0.01)
    one.stop()
    for thread in threads:
        thread.join(timeout=3)
        assert not thread.is_alive()
    assert [str(problem) for problem in failed] == ["stopped before an answer came"] * 3
