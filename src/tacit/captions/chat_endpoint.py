"""A chat endpoint that speaks OpenAI's protocol with images, such as OpenAI's own, vLLM and Ollama."""

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from PIL import Image

from tacit.captions.rate_limit import RateLimit
from tacit.errors import CaptionerError, CaptionerUnusable, InvalidInput, MissingExtra

KEY_VARIABLE = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com/v1"

MAX_ANSWER = 4 << 20
"""Bytes; a server that sends more is not answering the question."""

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may well succeed."""

# Codes of errors that hold for all images, and of refusals to describe one.
NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
REFUSED = frozenset({"content_filter", "content_policy_violation"})


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """How an endpoint is asked."""

    model: str = "gpt-4o"
    """The model's name at the endpoint."""
    base_url: str = OPENAI
    """The address in front of `/chat/completions`."""
    image_size: int = 1024
    """The longer side of the image that is sent, in pixels, at most."""
    max_tokens: int = 300
    """The length of an answer in tokens, at most."""
    rate: float = 120.0
    """The number of requests per minute, over all threads, at most."""
    timeout: float = 60.0
    """The longest time without a byte, and for an answer as a whole, in seconds."""
    attempts: int = 6
    """The number of requests for one image, at most."""
    backoff: float = 1.0
    """The time before the second attempt in seconds; it is doubled for each further one, up to a minute."""
    patience: float = 120.0
    """The longest Retry-After of a server that is obeyed, in seconds."""


@dataclass(frozen=True)
class EndpointAnswer:
    """What a model answered."""

    text: str
    """The text, which is not blank."""
    is_cut: bool
    """Whether the limit of tokens cut it short."""


class ChatEndpoint:
    """An endpoint whose model is shown an image and asked something; use it as a context manager, or `close` it.

    The key comes from the environment, `OPENAI_API_KEY`. It goes into the request's header and nowhere else, and is
    removed from what a server reports. Redirects are not followed: they would take the key along.

    Args:
        options: The endpoint, the model, and limits.
        say: Takes a line about each request that failed and is repeated, in the thread that repeats it.

    Raises:
        MissingExtra: httpx is not installed.
        InvalidInput: The base URL is not one, or the key has characters that no header can have.
    """

    def __init__(
        self, options: EndpointOptions = EndpointOptions(), *, say: Callable[[str], object] | None = None
    ) -> None:
        try:
            self._httpx: Any = importlib.import_module("httpx")
        except ImportError as error:
            raise MissingExtra("an endpoint needs httpx: pip install 'tacit[caption]'") from error
        self._options, self._say = options, say
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        self._url = _checked_url(options.base_url)
        if not (self._key.isascii() and self._key.isprintable()):
            raise InvalidInput(f"{KEY_VARIABLE} must have printable ASCII characters only, as a header needs them")
        self._rate_limit = RateLimit(options.rate)
        self._unusable: str | None = None  # why no image will get an answer any more
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
        """What decides an answer besides the question: who is asked, but not how often or how fast."""
        options = self._options
        limits = {"image_size": options.image_size, "max_tokens": options.max_tokens}
        return {"model": options.model, "url": self._url, **limits}

    def ask(self, image: Image.Image, prompt: str) -> EndpointAnswer:
        """Ask about an image until an answer comes or the attempts are used up.

        Raises:
            CaptionerError: No answer came, or the model refused.
            CaptionerUnusable: The endpoint will answer about no image; later calls fail so without a request.
        """
        if self._unusable is not None:
            raise CaptionerUnusable(self._unusable)
        try:
            return self._asked(image, prompt)
        except CaptionerUnusable as error:
            self._unusable = str(error)
            raise

    def _asked(self, image: Image.Image, prompt: str) -> EndpointAnswer:
        options = self._options
        if not self._key and options.base_url.rstrip("/") == OPENAI:
            raise CaptionerUnusable(f"OpenAI needs a key: set {KEY_VARIABLE} in the environment")
        question = self._question(image, prompt)
        problem = ""
        for attempt in range(options.attempts):
            self._rate_limit.wait()
            try:
                return self._ask(question)
            except _TransientError as error:
                problem = str(error)
                if self._say is not None and attempt + 1 < options.attempts:
                    self._say(f"{problem}; asking again, attempt {attempt + 2} of {options.attempts}")
                if error.wait:
                    self._pause(error.wait, problem)
                elif attempt + 1 < options.attempts:
                    # Between half and all of it, so that threads that failed together don't come back together.
                    self._rate_limit.sleep(random.uniform(0.5, 1) * min(60.0, options.backoff * 2**attempt))
        raise CaptionerError(f"no answer from {self._url} after {options.attempts} attempts: {problem}")

    def stop(self) -> None:
        """Make calls that wait fail; requests on their way still get their answer."""
        self._rate_limit.stop()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> ChatEndpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _pause(self, seconds: float, problem: str) -> None:
        """Wait as long as a server asks, or raise CaptionerUnusable where that is too long."""
        if seconds > self._options.patience:
            raise CaptionerUnusable(f"the server asks to wait {seconds:,.0f} s: {problem}")
        self._rate_limit.pause(seconds)  # all threads: the server counts their requests together

    def _question(self, image: Image.Image, prompt: str) -> list[dict[str, object]]:
        smaller = image.convert("RGB")
        smaller.thumbnail((self._options.image_size, self._options.image_size), Image.Resampling.LANCZOS)
        smaller.info.clear()  # Pillow would send some of the metadata along: comments, XMP
        file = io.BytesIO()
        smaller.save(file, "JPEG", quality=90)
        url = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
        image_part = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
        return [{"role": "user", "content": [{"type": "text", "text": prompt}, image_part]}]

    def _ask(self, question: list[dict[str, object]]) -> EndpointAnswer:
        """Send one request, and a second where the model does not know the first one's limits."""
        limits = self._limits
        status, headers, data = self._send({"model": self.model, "messages": question, **limits})
        if status == 400 and (known := _without(limits, _error(data).get("param"))) is not None:
            self._limits = known  # for all requests to come, too
            status, headers, data = self._send({"model": self.model, "messages": question, **known})
        if status == 200:
            return _answer(data)
        problem = self._problem(status, data)
        code = _error(data).get("code")
        if code in REFUSED:
            raise CaptionerError(f"refused: {problem}")
        if status in (401, 402, 403, 404) or code in NO_MONEY or 300 <= status < 400:
            raise CaptionerUnusable(problem)
        if status in TRANSIENT:
            raise _TransientError(problem, _retry_after(headers))
        raise CaptionerError(problem)

    def _send(self, question: Mapping[str, object]) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of the answer; raise _TransientError where none came whole and in time."""
        seconds = self._options.timeout
        deadline = time.monotonic() + seconds
        data = bytearray()
        try:
            with self._client.stream("POST", self._url, json=question) as response:
                for part in response.iter_bytes():
                    data += part
                    # The client's own limit is on each part: a server could feed it byte by byte for ever.
                    if time.monotonic() > deadline:
                        raise _TransientError(f"no whole answer within {seconds:g} s")
                    if len(data) > MAX_ANSWER:
                        raise CaptionerError(f"an answer of more than {MAX_ANSWER:,} bytes")
                return response.status_code, response.headers, bytes(data)
        except self._httpx.TimeoutException as error:
            raise _TransientError(f"no answer within {seconds:g} s") from error
        except (self._httpx.TransportError, self._httpx.DecodingError) as error:
            raise _TransientError(self._without_key(f"{type(error).__name__}: {error}")) from error

    def _problem(self, status: int, data: bytes) -> str:
        """Return one line about an error, without the key, which servers quote."""
        message = _error(data).get("message") or data[:200].decode("utf-8", "replace")
        return self._without_key(f"HTTP {status}: {' '.join(str(message).split())[:300]}").rstrip(": ")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


class _TransientError(Exception):
    """No answer came, but the next attempt may bring one.

    Args:
        message: What happened.
        wait: The seconds that the server asks to wait; None where it asks for none.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def _checked_url(base: str) -> str:
    """Return the address that questions are posted to, or raise InvalidInput."""
    match = re.fullmatch(r"https?://([^/?#\s]+)(/[^?#\s]*)?", base)
    if match is None or "@" in match[1]:
        # Not quoted: what is in front of an @ is a password.
        raise InvalidInput("base URL must be http(s)://HOST[:PORT][/PATH], without user, query or fragment")
    return base.rstrip("/") + "/chat/completions"


def _without(limits: Mapping[str, int], parameter: object) -> dict[str, int] | None:
    """Return the limits without one that a model refuses: newer ones rename max_tokens and fix the temperature."""
    if not isinstance(parameter, str) or parameter not in limits or parameter == "max_completion_tokens":
        return None
    known = {name: value for name, value in limits.items() if name != parameter}
    return known | ({"max_completion_tokens": limits["max_tokens"]} if parameter == "max_tokens" else {})


def _error(data: bytes) -> dict[str, Any]:
    """Return the error in an answer, {} where there is none."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}


def _answer(data: bytes) -> EndpointAnswer:
    """Return what the model says.

    Raises:
        _TransientError: The answer is not as the protocol has it.
        CaptionerError: The model refused.
    """
    try:
        choice = json.loads(data)["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _TransientError(f"not an answer: {data[:60].decode('utf-8', 'replace')!r}") from error
    if refusal or finish == "content_filter":
        raise CaptionerError(f"refused: {' '.join(str(refusal or 'content filter').split())[:300]}")
    if not isinstance(text, str) or not text.strip():
        raise _TransientError("an answer without text")
    return EndpointAnswer(text, finish == "length")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, which has those or a date; None where it has neither."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, date.timestamp() - time.time())
