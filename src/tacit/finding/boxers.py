"""Boxers: a captioner's own answer, or a finder, says where the things of a caption are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tacit.captions import load_prompt
from tacit.captions.boxer import LabelledBox
from tacit.errors import CaptionerError
from tacit.finding.boxes import Box, boxes_around
from tacit.finding.endpoint_finder import SCALE, parsed
from tacit.finding.finder import Finder

MARK = "BOXES:"  # between the caption and the boxes of an answer


class AnswerBoxer:
    """A `Boxer` for answers that have boxes behind the caption, as `question` asks for."""

    reads_answers = True

    @staticmethod
    def question(prompt: str) -> str:
        """Return a captioner's prompt that asks for boxes as well."""
        return f"{prompt}\n\n{load_prompt(Path(__file__).with_name('caption_boxes_prompt.txt'))}"

    def __call__(self, image: Image.Image, answer: str) -> tuple[str, tuple[LabelledBox, ...]]:
        """Return the caption and the boxes of an answer.

        Args:
            image: The upright RGB image.
            answer: What the model answered to `question`.

        Raises:
            CaptionerError: The answer is no caption with boxes.
        """
        text, mark, boxes = answer.rpartition(MARK)
        caption = text.strip(" \n*`#")
        if not (mark and caption):
            raise CaptionerError(
                f"the answer must be a caption, {MARK} and a list of boxes, got {answer[:60]!r} to {answer[-30:]!r}; "
                "one that was cut short needs a larger --max-tokens"
            )
        across, down = image.width / SCALE, image.height / SCALE
        found = (
            (phrase, _whole((left * across, top * down, right * across, bottom * down), image))
            for phrase, (left, top, right, bottom) in parsed(boxes)
        )
        return caption, tuple(LabelledBox(phrase or caption, box) for phrase, box in found)


class FinderBoxer:
    """A `Boxer` that has a finder look for what a caption names.

    Args:
        finder: The finder.
    """

    reads_answers = False

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    def __call__(self, image: Image.Image, answer: str) -> tuple[str, tuple[LabelledBox, ...]]:
        """Return a caption, and boxes around what the finder finds of it.

        Args:
            image: The upright RGB image.
            answer: The caption.

        Raises:
            TacitError: The finder fails.
        """
        things = self._finder(np.asarray(image.convert("RGB")), answer).things
        boxes = [
            LabelledBox(thing.phrase, _whole(box, image))
            for thing in things
            if thing.map is not None
            for box in boxes_around(thing.map, image.width, image.height)
        ]
        return answer, tuple(boxes)


def _whole(box: Box, image: Image.Image) -> tuple[int, int, int, int]:
    """Return left, top, width and height in whole pixels; a pixel at the least."""
    left, top = min(int(box[0]), image.width - 1), min(int(box[1]), image.height - 1)
    return left, top, max(1, round(box[2]) - left), max(1, round(box[3]) - top)
