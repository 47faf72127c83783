"""A finder that asks a model at an endpoint for boxes, such as a vision-language model on this machine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tacit.captions import AnswerCache, ChatEndpoint, EndpointOptions, default_folder, load_prompt
from tacit.errors import CaptionerError
from tacit.finding.boxes import Box, map_of_boxes
from tacit.finding.found import Found, FoundThing, nothing
from tacit.finding.fusion import shared

NAME = "endpoint"
BASE_URL = "OPENAI_BASE_URL"  # the environment variable with the endpoint's address
PLACE = "{caption}"  # where the prompt has the caption
SCALE = 1000  # what the model calls the width and the height
BEYOND = 20  # in the same unit, how far a box may be beyond the image's border
MOST = 100  # boxes of an answer


class EndpointFinder:
    """Finds what a model at an endpoint says; each answer is kept, so that it is paid for once.

    The key is in `OPENAI_API_KEY`, as for `tacit caption`, and the address in `OPENAI_BASE_URL`.

    Args:
        model: The model's name at the endpoint; None for the usual one.
        prompt: A file with the question, in which "{caption}" stands for the caption; None for that of the package.
        options: The endpoint and limits, in which `model` counts if it is given; None for the usual ones.
        folder: Where answers are kept; None for `boxes` beside the captions of `tacit caption`.

    Raises:
        MissingExtra: httpx is not installed.
        InvalidInput: The address is none, or the prompt is empty.
        PathError: The prompt cannot be read.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        prompt: str | os.PathLike[str] | None = None,
        options: EndpointOptions | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if options is None:
            options = EndpointOptions(
                model=model or EndpointOptions.model,
                base_url=os.environ.get(BASE_URL) or EndpointOptions.base_url,
                max_tokens=2000,
            )
        self._options = options
        self._prompt = load_prompt(Path(__file__).with_name("endpoint_prompt.txt") if prompt is None else prompt)
        self._cache = AnswerCache(default_folder().with_name("boxes") if folder is None else folder)
        self._endpoint = ChatEndpoint(options)

    def __getstate__(self) -> dict[str, object]:
        """Return what another process needs: it makes connections of its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_endpoint"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._endpoint = ChatEndpoint(self._options)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The endpoint, its model and the question."""
        return {"finder": NAME, **self._endpoint.settings, "prompt": self._prompt}

    def __call__(self, pixels: NDArray[np.uint8], caption: str) -> Found:
        """Return what the model sees of a caption.

        Args:
            pixels: The image, uint8 [H, W, 1 or 3].
            caption: The caption.

        Raises:
            CaptionerError: No answer came, or it is no list of boxes.
            PathError: The answer cannot be kept.
        """
        height, width = pixels.shape[:2]
        question = self._prompt.replace(PLACE, caption)
        settings = {**self._endpoint.settings, "prompt": question}
        # an array's bytes do not tell its shape
        content = f"{width}x{height}x{pixels.shape[2]}:".encode() + pixels.tobytes()
        text = self._cache.find(content, settings)
        if text is None:
            text = self._endpoint.ask(
                Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), question
            ).text
            boxes = parsed(text)  # what cannot be used is not kept
            self._cache.store(content, settings, text)
        else:
            boxes = parsed(text)
        if not boxes:
            return nothing([caption])
        by_phrase: dict[str, list[Box]] = {}
        for phrase, (left, top, right, bottom) in boxes:
            box = (left * width / SCALE, top * height / SCALE, right * width / SCALE, bottom * height / SCALE)
            by_phrase.setdefault(phrase or caption, []).append(box)
        things = tuple(
            FoundThing(phrase, (NAME,), map_of_boxes(own, width, height)) for phrase, own in by_phrase.items()
        )
        return Found(shared([thing.map for thing in things if thing.map is not None]), things)


def parsed(answer: str) -> list[tuple[str, Box]]:
    """Return the phrases and boxes of an answer, in thousandths of the image's sides.

    Raises:
        CaptionerError: The answer is no list of boxes in the image.
    """
    match = re.search(r"\[.*\]", answer, re.DOTALL)  # models like to put words and fences around it
    try:
        items = json.loads(match[0] if match else "")
        boxes = [(str(item.get("phrase") or "").strip(), _box(item["box"])) for item in items]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise CaptionerError(f"the answer must be a list of phrases and boxes, got {answer[:100]!r}") from error
    if len(boxes) > MOST:
        raise CaptionerError(f"the answer must have at most {MOST} boxes, got {len(boxes)}")
    return boxes


def _box(values: Any) -> Box:
    """Return a box; one of swapped corners, or a little beyond the border, is put right.

    Raises:
        ValueError: It is none.
    """
    if isinstance(values, str):  # "[10, 20, 30, 40]"
        values = re.findall(r"[^\s,;()\[\]]+", values)
    a, b, c, d = (float(value) for value in values)
    if not all(-BEYOND <= value <= SCALE + BEYOND for value in (a, b, c, d)):
        raise ValueError(values)
    (left, right), (top, bottom) = sorted((a, c)), sorted((b, d))
    left, top, right, bottom = (min(max(value, 0.0), float(SCALE)) for value in (left, top, right, bottom))
    if left == right or top == bottom:
        raise ValueError(values)
    return left, top, right, bottom
