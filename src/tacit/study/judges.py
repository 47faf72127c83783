"""Judges: networks that say whether what a box shows can still be read, detected and recognised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tacit.finding import classes, scene_text
from tacit.finding.detector import class_of
from tacit.finding.phrases import phrases_of
from tacit.pretrained.catalogue import EFFICIENTNET_LITE0
from tacit.pretrained.loading import locate
from tacit.study.judge_detector import PROTOCOL as DETECTOR_PROTOCOL
from tacit.study.judge_detector import score
from tacit.study.named_regions import Box, NamedRegion

Pixels = NDArray[np.uint8]
"""An image, uint8 [H, W, 3]."""

FEWEST = 3  # characters that a box of the original must show for its reading to be judged
DETECTED = 0.3  # the score from which on the detector has found a thing


class Judge(Protocol):
    """Judges what has become of a named thing."""

    name: str
    """What configurations call it."""
    measures: Mapping[str, str]
    """What it measures, each 0 to 1 and higher is better: how, by name."""

    def reference(self, original: Pixels, region: NamedRegion) -> Any:
        """Return what the original shows, as a value that JSON has; None where there is nothing to be judged."""

    def __call__(self, decoded: Pixels, region: NamedRegion, reference: Any) -> Mapping[str, float]:
        """Return the measures of a decoded image."""


class ReadingJudge:
    """Reads the text inside the box.

    Raises:
        MissingExtra: RapidOCR is not installed.
    """

    name = "reading"
    measures: Mapping[str, str] = {
        "text read": "characters that RapidOCR reads alike in the box of the original and of the decoded image: 1 less "
        f"the edit distance over the length, at least 0; boxes in which it reads {FEWEST} characters or more"
    }

    def __init__(self) -> None:
        scene_text.require_reader()

    def reference(self, original: Pixels, region: NamedRegion) -> str | None:
        """Return the text in the original's box; None where it is too short."""
        text = self._read(original, region.box)
        return text if len(text) >= FEWEST else None

    def __call__(self, decoded: Pixels, region: NamedRegion, reference: str) -> Mapping[str, float]:
        """Return how much of the text is read alike."""
        return {"text read": accuracy(self._read(decoded, region.box), reference)}

    @staticmethod
    def _read(pixels: Pixels, box: Box) -> str:
        left, top, right, bottom = box
        height = len(pixels)
        across, down = (right - left) // 10 + 4, (bottom - top) // 10 + 4  # text at the box's border is whole
        crop = pixels[max(0, top - down) : min(height, bottom + down), max(0, left - across) : right + across]
        lines = scene_text.read(np.repeat(np.repeat(crop, 2, axis=0), 2, axis=1))
        return " ".join(line.text for line in lines)


class DetectionJudge:
    """Looks for the named thing with a detector that no finder uses.

    Raises:
        MissingWeights: The detector's file is not there.
    """

    name = "detection"
    measures: Mapping[str, str] = {
        "thing detected": f"{DETECTOR_PROTOCOL} finds the named class with a box that overlaps the thing's by half and "
        f"a score of {DETECTED}; things of COCO's classes that it finds in the original"
    }

    def __init__(self) -> None:
        from tacit.pretrained.catalogue import NANODET

        locate(NANODET)

    def reference(self, original: Pixels, region: NamedRegion) -> int | None:
        """Return the number of the thing's class; None where it has none, or is not found in the original."""
        phrases = phrases_of(region.phrase)
        number = class_of(phrases[0]) if len(phrases) == 1 and phrases[0].whole is None else None
        return None if number is None or score(original, number, region.box) < DETECTED else number

    def __call__(self, decoded: Pixels, region: NamedRegion, reference: int) -> Mapping[str, float]:
        """Return whether the thing is found."""
        return {"thing detected": float(score(decoded, reference, region.box) >= DETECTED)}


class RecognitionJudge:
    """Classifies the box.

    Raises:
        MissingWeights: The classifier's weights are not installed.
    """

    name = "recognition"
    measures: Mapping[str, str] = {
        "same class": "EfficientNet-Lite0 takes the decoded box for the same of ImageNet's 1,000 classes as the "
        "original's; all boxes",
        "among five": "... or has that class among its first five",
    }

    def __init__(self) -> None:
        locate(EFFICIENTNET_LITE0)

    def reference(self, original: Pixels, region: NamedRegion) -> int:
        """Return the class of the original's box."""
        return int(self._scores(original, region.box).argmax())

    def __call__(self, decoded: Pixels, region: NamedRegion, reference: int) -> Mapping[str, float]:
        """Return whether the box has the same class still."""
        best = np.argsort(-self._scores(decoded, region.box), kind="stable")[:5].tolist()
        return {"same class": float(best[0] == reference), "among five": float(reference in best)}

    @staticmethod
    def _scores(pixels: Pixels, box: Box) -> NDArray[np.float32]:
        left, top, right, bottom = box
        return classes.scores(np.ascontiguousarray(pixels[top:bottom, left:right]))


_Class = type[ReadingJudge] | type[DetectionJudge] | type[RecognitionJudge]
JUDGES: Mapping[str, _Class] = {judge.name: judge for judge in (ReadingJudge, DetectionJudge, RecognitionJudge)}
"""The judges by their names."""


def accuracy(text: str, reference: str) -> float:
    """Return how much of a text is as in another one: 1 less the edit distance over the other's length, at least 0."""
    row = list(range(len(reference) + 1))
    for i, character in enumerate(text, 1):
        before, row[0] = row[0], i
        for j, wanted in enumerate(reference, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (character != wanted))
    return max(0.0, 1 - row[-1] / len(reference))
