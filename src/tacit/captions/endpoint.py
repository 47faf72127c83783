"""Captions from any chat endpoint that speaks OpenAI's protocol with images: OpenAI's own, vLLM, Ollama, ..."""

from __future__ import annotations

import base64
import email.utils
import importlib
import io
import json
import os
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from PIL import Image

from tacit.captions.caption_text import tidy_answer
from tacit.captions.rate_limit import RateLimit
from tacit.errors import CaptionerError, CaptionerUnusable, InvalidInput, MissingExtra

KEY_VARIABLE = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com/v1"

MAX_ANSWER = 4 << 20
"""Bytes; a server that sends more is not answering the question."""

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may well succeed."""

NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
REFUSED = frozenset({"content_filter", "content_policy_violation"})
REFUSAL = re.compile(
    r"(i['\u2019]?m|i am)? ?(sorry|unable to)\b|i (can(not|['\u2019]?t)|won['\u2019]?t)\b|as an ai\b", re.IGNORECASE
)


@dataclass(frozen=True)
class EndpointOptions:
    """How an endpoint is asked.

    base_url: what `/chat/completions` is put behind. image_size: the longer side of the image that is sent, in pixels
    (a smaller one is not enlarged). max_tokens: of an answer. rate: requests a minute, over all threads. timeout:
    seconds without a byte, and for an answer as a whole. attempts: requests for one image at most. backoff: seconds
    before the second attempt, doubled for each further one, up to a minute. patience: the longest Retry-After that is
    waited for, in seconds.
    """

    model: str = "gpt-4o"
    base_url: str = OPENAI
    image_size: int = 1024
    max_tokens: int = 300
    rate: float = 120.0
    timeout: float = 60.0
    attempts: int = 6
    backoff: float = 1.0
    patience: float = 120.0


class EndpointCaptioner:
    """A `Captioner` that asks an endpoint. Use as a context manager, or `close` it.

    The key comes from the environment, `OPENAI_API_KEY`; it goes into the request's header and nowhere else, and is
    blotted out of what a server says. Redirects are not followed: they would take it along.

    Raises: MissingExtra; InvalidInput, for a base URL or a key that cannot be one.
    """

    def __init__(self, prompt: str, options: EndpointOptions = EndpointOptions()) -> None:
        try:
            self._httpx: Any = importlib.import_module("httpx")
        except ImportError as error:
            raise MissingExtra("an endpoint's captions need httpx: pip install 'tacit[caption]'") from error
        self._options = options
        self._prompt = prompt
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        self._url = _checked_url(options.base_url)
        if not (self._key.isascii() and self._key.isprintable()):
            raise InvalidInput(f"{KEY_VARIABLE} is not a key: it has characters that no header can have")
        self._rate_limit = RateLimit(options.rate)
        self._over: str | None = None  # why no image will get a caption any more
        self._limits: dict[str, int] = {"max_tokens": options.max_tokens, "temperature": 0}
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = self._httpx.Timeout(options.timeout, connect=min(10, options.timeout))
        # No limit of its own on connections: there are as many as the caller has threads.
        limits = self._httpx.Limits(max_connections=None)
        self._client: Any = self._httpx.Client(headers=headers, timeout=timeout, limits=limits, follow_redirects=False)

    @property
    def model(self) -> str:
        """The model's name at the endpoint."""
        return self._options.model

    @property
    def settings(self) -> Mapping[str, str | int]:
        """What is asked of whom; not how often or how fast."""
        options = self._options
        asked = {"image_size": options.image_size, "max_tokens": options.max_tokens}
        return {"model": options.model, "url": self._url, "prompt": self._prompt, **asked}

    def __call__(self, image: Image.Image) -> str:
        """The endpoint's caption, asked for until it comes or attempts are used up.

        Raises: CaptionerError; CaptionerUnusable, and again without a request whenever it is called after that.
        """
        if self._over is not None:
            raise CaptionerUnusable(self._over)
        try:
            return self._asked(image)
        except CaptionerUnusable as error:
            self._over = str(error)
            raise

    def _asked(self, image: Image.Image) -> str:
        options = self._options
        if not self._key and options.base_url.rstrip("/") == OPENAI:
            raise CaptionerUnusable(f"OpenAI needs a key: set {KEY_VARIABLE} in the environment")
        question = self._question(image)
        said = ""
        for attempt in range(options.attempts):
            self._rate_limit.wait()
            try:
                return self._ask(question)
            except _AgainError as error:
                said = str(error)
                if error.wait:
                    self._wait_as_told(error.wait, said)
                elif attempt + 1 < options.attempts:
                    # Between half and all of it, so that threads that failed together don't come back together.
                    self._rate_limit.sleep(random.uniform(0.5, 1) * min(60.0, options.backoff * 2**attempt))
        raise CaptionerError(f"no caption after {options.attempts} attempts: {said}")

    def stop(self) -> None:
        """Give up all that waits; requests on their way still get their answer."""
        self._rate_limit.stop()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> EndpointCaptioner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _wait_as_told(self, seconds: float, said: str) -> None:
        if seconds > self._options.patience:
            raise CaptionerUnusable(f"the server asks to wait {seconds:,.0f} s: {said}")
        self._rate_limit.pause(seconds)  # all threads: the server counts their requests together

    def _question(self, image: Image.Image) -> list[dict[str, object]]:
        smaller = image.convert("RGB")
        smaller.thumbnail((self._options.image_size, self._options.image_size), Image.Resampling.LANCZOS)
        smaller.info.clear()  # Pillow would send some of the metadata along: comments, XMP
        file = io.BytesIO()
        smaller.save(file, "JPEG", quality=90)
        url = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
        shown = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
        return [{"role": "user", "content": [{"type": "text", "text": self._prompt}, shown]}]

    def _ask(self, question: list[dict[str, object]]) -> str:
        """One request, or a second where the first one's limits are not known to the model."""
        limits = self._limits
        status, headers, data = self._send({"model": self.model, "messages": question, **limits})
        if status == 400 and (known := _without(limits, _error(data).get("param"))) is not None:
            self._limits = known  # for all requests to come, too
            status, headers, data = self._send({"model": self.model, "messages": question, **known})
        if status == 200:
            return _answer(data)
        said = self._said(status, data)
        code = _error(data).get("code")
        if code in REFUSED:
            raise CaptionerError(f"refused: {said}")
        if status in (401, 402, 403, 404) or code in NO_MONEY or 300 <= status < 400:
            raise CaptionerUnusable(said)
        if status in AGAIN:
            raise _AgainError(said, _retry_after(headers))
        raise CaptionerError(said)

    def _send(self, question: Mapping[str, object]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer. Raises: _AgainError, where none came whole and in time."""
        seconds = self._options.timeout
        deadline = time.monotonic() + seconds
        data = bytearray()
        try:
            with self._client.stream("POST", self._url, json=question) as response:
                for part in response.iter_bytes():
                    data += part
                    # The client's own limit is on each part: a server could feed it byte by byte for ever.
                    if time.monotonic() > deadline:
                        raise _AgainError(f"no whole answer within {seconds:g} s")
                    if len(data) > MAX_ANSWER:
                        raise CaptionerError(f"an answer of more than {MAX_ANSWER:,} bytes")
                return response.status_code, response.headers, bytes(data)
        except self._httpx.TimeoutException as error:
            raise _AgainError(f"no answer within {seconds:g} s") from error
        except (self._httpx.TransportError, self._httpx.DecodingError) as error:
            raise _AgainError(self._blotted(f"{type(error).__name__}: {error}")) from error

    def _said(self, status: int, data: bytes) -> str:
        """One line about an error, without the key: servers quote it."""
        message = _error(data).get("message") or data[:200].decode("utf-8", "replace")
        return self._blotted(f"HTTP {status}: {' '.join(str(message).split())[:300]}").rstrip(": ")

    def _blotted(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


class _AgainError(Exception):
    """No answer, but the next attempt may bring one; wait: seconds that the server asks for."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def _checked_url(base: str) -> str:
    """Where questions are posted to. Raises: InvalidInput."""
    match = re.fullmatch(r"https?://([^/?#\s]+)(/[^?#\s]*)?", base)
    if match is None or "@" in match[1]:
        # Not quoted: what is in front of an @ is a password.
        raise InvalidInput("the base URL must be http(s)://HOST[:PORT][/PATH], without user, query or fragment")
    return base.rstrip("/") + "/chat/completions"


def _without(limits: Mapping[str, int], parameter: object) -> dict[str, int] | None:
    """The limits without one that a model does not take: newer ones call max_tokens otherwise and fix temperature."""
    if not isinstance(parameter, str) or parameter not in limits or parameter == "max_completion_tokens":
        return None
    known = {name: value for name, value in limits.items() if name != parameter}
    return known | ({"max_completion_tokens": limits["max_tokens"]} if parameter == "max_tokens" else {})


def _error(data: bytes) -> dict[str, Any]:
    """The error in an answer, {} where there is none."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}


def _answer(data: bytes) -> str:
    """The caption in an answer.

    Raises: _AgainError for one that is not as the protocol has it; CaptionerError for a refusal.
    """
    try:
        choice = json.loads(data)["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _AgainError(f"not an answer: {data[:60].decode('utf-8', 'replace')!r}") from error
    if refusal or finish == "content_filter":
        raise CaptionerError(f"refused: {' '.join(str(refusal or 'content filter').split())[:300]}")
    if not isinstance(text, str) or not text.strip():
        raise _AgainError("an answer without text")
    caption = tidy_answer(text)
    # A real caption may hold such words, but does not begin with them.
    if REFUSAL.match(caption):
        raise CaptionerError(f"refused: {caption[:300]}")
    if finish == "length":  # cut short: up to the end of the last whole sentence
        sentences = re.match(r".*[.!?][\"'\u201d\u2019)]*(?=\s)", caption)
        caption = sentences[0] if sentences else caption
    return caption


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header, which has those or a date; None where there is none that makes sense."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, date.timestamp() - time.time())
