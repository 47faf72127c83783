"""The cue of faces: people's faces by MTCNN (Zhang et al. 2016), and from them what people have and wear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, box_mask
from tacit.finding.networks import network
from tacit.finding.phrases import Phrase
from tacit.finding.view import View
from tacit.finding.vocabulary import PEOPLE

WEIGHT, PERSON_WEIGHT = 1.4, 0.8
SIDE = 640  # pixels along the longer side of the copy that is searched
SMALLEST = 24  # pixels of the smallest face there
STEP = 0.709  # from one size of the search to the next
THRESHOLDS = (0.6, 0.7, 0.8)  # of the three networks
MOST = 400  # boxes that the first network may hand on

Boxes = NDArray[np.float32]
"""Left, top, right, bottom and score of each, [N, 5]."""

PARTS: Mapping[str, tuple[float, float, float, float]] = {
    "face": (-0.1, -0.1, 1.1, 1.1),
    "head": (-0.3, -0.5, 1.3, 1.15),
    "eye": (-0.02, 0.18, 1.02, 0.56),
    "glasses": (-0.15, 0.15, 1.15, 0.6),
    "sunglasses": (-0.15, 0.15, 1.15, 0.6),
    "eyebrow": (0.0, 0.1, 1.0, 0.4),
    "nose": (0.25, 0.4, 0.75, 0.78),
    "mouth": (0.15, 0.65, 0.85, 1.0),
    "lip": (0.15, 0.65, 0.85, 1.0),
    "smile": (0.1, 0.6, 0.9, 1.0),
    "beard": (0.0, 0.6, 1.0, 1.25),
    "moustache": (0.15, 0.6, 0.85, 0.9),
    "hair": (-0.4, -0.6, 1.4, 0.7),
    "hat": (-0.7, -1.0, 1.7, 0.3),
    "cap": (-0.5, -0.8, 1.5, 0.25),
    "helmet": (-0.5, -0.8, 1.5, 0.5),
    "crown": (-0.4, -0.9, 1.4, 0.1),
    "earring": (-0.3, 0.5, 1.3, 1.2),
    "neck": (-0.1, 1.0, 1.1, 1.5),
    "necklace": (-0.3, 0.95, 1.3, 2.1),
    "tie": (0.1, 1.1, 0.9, 3.6),
    "scarf": (-0.5, 0.9, 1.5, 2.2),
    **dict.fromkeys("sweater shirt t-shirt jacket coat blouse vest suit hoodie".split(), (-1.5, 1.0, 2.5, 4.5)),
    **dict.fromkeys("dress gown uniform costume".split(), (-1.5, 1.0, 2.5, 6.5)),
}
"""Where parts of people and clothes are: left, top, right, bottom in units of the face's box."""

_PERSON = (-1.3, -0.7, 2.3, 6.5)


class FacesCue:
    """Finds faces, what is in them, and what the people wear."""

    name = "faces"
    specific = True

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return where the part or the person is; None where the phrase names neither, or no face is seen."""
        if phrase.whole is not None and phrase.whole.head not in PEOPLE:
            return None
        part = PARTS.get(phrase.head)
        person = phrase.head in PEOPLE
        if part is None and not person:
            return None
        faces = faces_of(view)
        if not len(faces):
            return None
        largest = float((faces[:, 2] - faces[:, 0]).max())
        seen: Map = np.zeros(view.shape, np.float32)
        for left, top, right, bottom, _ in faces.tolist():
            width, height = right - left, bottom - top
            a, b, c, d = _PERSON if part is None else part
            box = (left + a * width, top + b * height, left + c * width, top + d * height)
            mask = box_mask(view.shape, box, soft=0.15)
            if part is None:  # the face tells most of who is meant
                mask = np.maximum(0.75 * mask, box_mask(view.shape, (left, top, right, bottom), soft=0.3))
            seen = np.maximum(seen, mask * (width / largest) ** 0.5)
        top_value = float(seen.max())
        return Evidence(seen / top_value, WEIGHT if part is not None else PERSON_WEIGHT) if top_value > 0 else None


def faces_of(view: View) -> Boxes:
    """Return the faces in an image, in shares of its sides, the surest first; the search runs once for a view."""
    if "faces" not in view.kept:
        height, width = view.pixels.shape[:2]
        shrink = min(1.0, SIDE / max(height, width))
        small = view.resized(max(1, round(width * shrink)), max(1, round(height * shrink)))
        boxes = _search(small)
        boxes[:, :4] /= np.array([small.shape[1], small.shape[0]] * 2, np.float32)
        view.kept["faces"] = boxes
    faces: Boxes = view.kept["faces"]
    return faces


def _search(pixels: NDArray[np.uint8]) -> Boxes:
    """Return the faces in pixels."""
    boxes = _proposed(pixels)
    for name, side, threshold in (("rnet", 24, THRESHOLDS[1]), ("onet", 48, THRESHOLDS[2])):
        if not len(boxes):
            break
        boxes = _squared(boxes)
        scores, shifts = network("faces").run(name, {"image": _crops(pixels, boxes, side)}, ["scores", "shifts"])
        good = scores[:, 1] > threshold
        boxes = np.concatenate([boxes[good, :4], scores[good, 1:]], axis=1)
        boxes = _shifted(boxes, shifts[good])
        boxes = boxes[_distinct(boxes, 0.7, of_smaller=name == "onet")]
    return boxes


def _proposed(pixels: NDArray[np.uint8]) -> Boxes:
    """Return the boxes in which the first network sees faces, at all sizes."""
    height, width = pixels.shape[:2]
    found = [np.zeros((0, 9), np.float32)]
    scale = 12 / SMALLEST
    while min(height, width) * scale >= 12:
        small = _resized(pixels, int(width * scale + 1), int(height * scale + 1))
        scores, shifts = network("faces").run("pnet", {"image": small[None]}, ["scores", "shifts"])
        row, column = np.nonzero(scores[0, 1] >= THRESHOLDS[0])
        corner = 2 * np.stack([column, row, column, row], axis=1) + np.array([1, 1, 12, 12])
        score = scores[0, 1, row, column][:, None]
        boxes = np.concatenate([corner / scale, score, shifts[0][:, row, column].T], axis=1).astype(np.float32)
        found.append(boxes[_distinct(boxes[:, :5], 0.5)])
        scale *= STEP
    boxes = np.concatenate(found)
    boxes = boxes[_distinct(boxes[:, :5], 0.7)[:MOST]]
    return _shifted(boxes[:, :5], boxes[:, 5:])


def _resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    """Return pixels at another size as the networks take them, [3, height, width]."""
    from PIL import Image

    small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    return ((np.asarray(small).transpose(2, 0, 1) - np.float32(127.5)) / 128).astype(np.float32)


def _crops(pixels: NDArray[np.uint8], boxes: Boxes, side: int) -> NDArray[np.float32]:
    """Return the pixels of boxes, black beyond the border, [N, 3, side, side]."""
    from PIL import Image

    image = Image.fromarray(pixels)
    crops = np.empty((len(boxes), 3, side, side), np.float32)
    for crop, box in zip(crops, boxes, strict=True):
        left, top, right, bottom = (round(float(edge)) for edge in box[:4])
        crop[:] = _resized(np.asarray(image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))), side, side)
    return crops


def _shifted(boxes: Boxes, shifts: NDArray[np.float32]) -> Boxes:
    """Return boxes whose sides are moved by shares of their width and height."""
    sides = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]] * 2, axis=1)
    return np.concatenate([boxes[:, :4] + shifts * sides, boxes[:, 4:]], axis=1)


def _squared(boxes: Boxes) -> Boxes:
    """Return boxes made square about their middles."""
    middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([middle - half, middle + half, boxes[:, 4:]], axis=1)


def _distinct(boxes: Boxes, overlap: float, of_smaller: bool = False) -> NDArray[np.int64]:
    """Return which boxes overlap no surer one by more than a share, the surest first.

    Args:
        boxes: The boxes.
        overlap: The share: of the area of both together.
        of_smaller: The share is of the smaller one's area instead.
    """
    area = (boxes[:, 2] - boxes[:, 0]).clip(0) * (boxes[:, 3] - boxes[:, 1]).clip(0)
    order = np.argsort(-boxes[:, 4], kind="stable")
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:4], boxes[rest, 2:4])
        common = (high - low).clip(0).prod(axis=1)
        base = np.minimum(area[first], area[rest]) if of_smaller else area[first] + area[rest] - common
        order = rest[common <= overlap * np.maximum(base, 1e-9)]
    return np.array(kept, np.int64)
