"""Captions from a chat endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import TracebackType

from PIL import Image

from tacit.captions.caption_text import tidy_answer
from tacit.captions.chat_endpoint import ChatEndpoint, EndpointOptions
from tacit.errors import CaptionerError

REFUSAL = re.compile(
    r"(i['\u2019]?m|i am)? ?(sorry|unable to)\b|i (can(not|['\u2019]?t)|won['\u2019]?t)\b|as an ai\b", re.IGNORECASE
)


class EndpointCaptioner:
    """A `Captioner` that asks an endpoint; use it as a context manager, or `close` it.

    Args:
        prompt: What the model is asked with each image.
        options: The endpoint, the model, and limits, as for `ChatEndpoint`; None for the usual ones.
        say: Takes a line about each request that failed and is repeated, in the thread that repeats it.

    Raises:
        MissingExtra: httpx is not installed.
        InvalidInput: The base URL is not one, or the key has characters that no header can have.
    """

    def __init__(
        self, prompt: str, options: EndpointOptions | None = None, *, say: Callable[[str], object] | None = None
    ) -> None:
        self._endpoint = ChatEndpoint(EndpointOptions() if options is None else options, say=say)
        self._prompt = prompt

    @property
    def model(self) -> str:
        """The model's name at the endpoint."""
        return self._endpoint.model

    @property
    def settings(self) -> Mapping[str, str | int]:
        """What decides an answer: who is asked what, but not how often or how fast."""
        return {**self._endpoint.settings, "prompt": self._prompt}

    def __call__(self, image: Image.Image) -> str:
        """Ask for a caption until it comes or the attempts are used up.

        Raises:
            CaptionerError: No caption came, or the model refused.
            CaptionerUnusable: The endpoint will caption no image; later calls fail so without a request.
        """
        answer = self._endpoint.ask(image, self._prompt)
        caption = tidy_answer(answer.text)
        # A real caption may hold such words, but does not begin with them.
        if REFUSAL.match(caption):
            raise CaptionerError(f"refused: {caption[:300]}")
        if answer.is_cut:  # up to the end of the last whole sentence
            sentences = re.match(r".*[.!?][\"'\u201d\u2019)]*(?=\s)", caption)
            caption = sentences[0] if sentences else caption
        return caption

    def stop(self) -> None:
        """Make calls that wait fail; requests on their way still get their answer."""
        self._endpoint.stop()

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def __enter__(self) -> EndpointCaptioner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
