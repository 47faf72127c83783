"""The cue of the detector: COCO's 80 classes of things, by CenterNet on MobileNetV3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tacit.finding.colour import colour_map
from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, box_mask
from tacit.finding.networks import network
from tacit.finding.phrases import Phrase
from tacit.finding.place import SIDED, place_map, placed
from tacit.finding.view import View
from tacit.finding.vocabulary import PEOPLE

WEIGHT, PERSON_WEIGHT = 2.4, 1.8
WHOLE_WEIGHT, NEAR_WEIGHT = 0.9, 0.5  # what the thing is a part of, and what it is near
SIDE = 512  # pixels of the square that the network sees, to which the image is stretched
LEAST, RELATIVE = 0.05, 0.35  # score of a box, and beside that of the class's best one
SURE = 0.3  # score from which on a thing is seen so surely that a part of it is looked for there
LIKELY = 0.12  # score of the best box that things which are not in the image seldom have
OTHERS = 0.1  # what boxes count beside the one that is named by its place
TOLD = 0.3  # the weight from which on a colour tells boxes apart
BEYOND = 0.04  # shares of a box's sides that it is widened by
CLASSES = (
    "person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign|parking meter|"
    "bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie|suitcase|frisbee|"
    "skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|"
    "cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|"
    "potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|"
    "refrigerator|book|clock|vase|scissors|teddy bear|hair drier|toothbrush"
).split("|")
_OTHER_NAMES = {
    "bicycle": "bike",
    "car": "taxi cab suv sedan jeep van automobile minivan convertible",
    "motorcycle": "motorbike scooter moped motorcycle dirt-bike",
    "airplane": "plane aeroplane jet aircraft airliner biplane",
    "bus": "minibus coach",
    "train": "locomotive tram subway trolley",
    "truck": "lorry pickup firetruck",
    "boat": "ship sailboat yacht canoe kayak ferry raft dinghy rowboat vessel catamaran gondola",
    "traffic light": "stoplight",
    "bird": "parrot pigeon seagull gull duck goose swan eagle owl hawk macaw chicken rooster hen crow flamingo pelican "
    "ostrich penguin sparrow",
    "cat": "kitten kitty",
    "dog": "puppy poodle retriever terrier",
    "horse": "pony foal",
    "sheep": "lamb goat ram",
    "cow": "bull calf cattle ox steer",
    "bear": "grizzly panda",
    "backpack": "knapsack rucksack",
    "umbrella": "parasol",
    "handbag": "purse bag tote",
    "tie": "necktie",
    "suitcase": "luggage baggage",
    "sports ball": "ball baseball football basketball",
    "kite": "parachute",
    "baseball bat": "bat",
    "baseball glove": "mitt",
    "surfboard": "board",
    "tennis racket": "racket racquet",
    "wine glass": "glass wineglass goblet",
    "cup": "mug",
    "couch": "sofa loveseat",
    "chair": "armchair stool",
    "potted plant": "plant houseplant",
    "dining table": "table desk",
    "tv": "television monitor screen",
    "laptop": "notebook computer",
    "remote": "controller",
    "cell phone": "phone cellphone smartphone iphone",
    "donut": "doughnut",
    "refrigerator": "fridge",
    "oven": "stove",
    "sandwich": "burger hamburger panini sub",
    "teddy bear": "teddy",
    "hair drier": "hairdryer hair-dryer dryer",
    "book": "textbook novel",
    "bowl": "dish",
    "person": " ".join(sorted(PEOPLE)),
}
_LOOSE = frozenset("ball board glass screen plant dish controller computer table".split())
"""Names that other things have as well, which the network has not learnt."""
_NUMBERS = {name: number for number, name in enumerate(CLASSES)} | {
    other: CLASSES.index(name) for name, others in _OTHER_NAMES.items() for other in others.split()
}


@dataclass(frozen=True)
class Box:
    """A thing that the detector sees."""

    sides: tuple[float, float, float, float]
    """Left, top, right and bottom in shares of the image."""
    score: float
    """How sure the detector is, 0 to 1."""


_ALIKE = [
    "cat dog bear sheep teddy|bear".split(),
    "horse cow sheep dog".split(),
    "car truck bus train".split(),
    "bicycle motorcycle".split(),
    "couch chair bed bench".split(),
    "tv laptop".split(),
    "cup bowl wine|glass vase bottle".split(),
    "toilet sink".split(),
]
"""Classes that the network takes for each other."""
ALIKE = 0.7  # what a score of a class that is like the named one counts


class DetectorCue:
    """Finds the things that COCO's classes cover."""

    name = "detector"
    specific = True

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return the boxes of the phrase's class; None where it has none, or none is seen."""
        number = class_of(phrase)
        part_of = next((_NUMBERS[word] for word in reversed(phrase.attributes) if word in _NUMBERS), None)
        weight = PERSON_WEIGHT if number == 0 else WEIGHT
        described = phrase
        if number is None and phrase.whole is not None:
            number, weight, described = class_of(phrase.whole), WHOLE_WEIGHT, phrase.whole
        if number is None and part_of is not None:  # "the toilet seat"
            number, weight = part_of, WHOLE_WEIGHT
        if number is None:  # "the flowers in the vase"
            number = next((n for n in map(class_of, phrase.near) if n is not None), None)
            weight = NEAR_WEIGHT
        boxes = [] if number is None else _likely_boxes(view, number)
        if not boxes:
            return None
        top = boxes[0].score
        if described is not phrase and top < SURE:
            return None
        masks = [box_mask(view.shape, box.sides) for box in boxes]
        fits = np.array([box.score / top for box in boxes])
        fits = fits**0.5 if phrase.many else fits * _fitting(masks, _described(view, described))
        one = placed([(fit, box.sides) for fit, box in zip(fits.tolist(), boxes, strict=True)], described)
        if one is not None:
            fits = np.where(np.arange(len(boxes)) == one, fits.max(), OTHERS * fits)
        seen: Map = np.zeros(view.shape, np.float32)
        for mask, fit in zip(masks, (fits / fits.max()).tolist(), strict=True):
            seen = np.maximum(seen, mask * fit)
        return Evidence(seen, weight * min(1.0, 0.4 + top), is_sure=top >= LIKELY, is_one=one is not None)


def _described(view: View, phrase: Phrase) -> list[Map]:
    """Return maps of what a phrase says of its thing's place and colours."""
    maps = [colour_map(view, colour) for colour, weight in phrase.colours if weight > TOLD]
    ramp = place_map(view, phrase)
    return maps if ramp is None else [*maps, ramp**SIDED]


def _fitting(masks: Sequence[Map], described: Sequence[Map]) -> NDArray[np.float64]:
    """Return how well each of several boxes fits what is said of the thing."""
    fits: NDArray[np.float64] = np.ones(len(masks))
    for values in described:
        means = np.array([(values * mask).sum() / max(mask.sum(), 1e-6) for mask in masks])
        fits *= 0.1 + 0.9 * means / max(means.max(), 1e-6)
    return fits


def _likely_boxes(view: View, number: int) -> list[Box]:
    """Return the boxes of a class, and where a class that is taken for it is seen more surely, those as well."""
    boxes = boxes_of(view, number)
    best = boxes[0].score if boxes else 0.0
    name = CLASSES[number].replace(" ", "|")
    for other in {other for group in _ALIKE if name in group for other in group} - {name}:
        more = boxes_of(view, CLASSES.index(other.replace("|", " ")))
        boxes += [Box(box.sides, ALIKE * box.score) for box in more if box.score > max(2 * best, 2 * LEAST)]
    return sorted(boxes, key=lambda box: -box.score)


def would_see(phrase: Phrase) -> bool:
    """Return whether a thing that the detector sees nowhere is not in the image, as far as one can tell."""
    return class_of(phrase) is not None and phrase.head not in _LOOSE


def class_of(phrase: Phrase) -> int | None:
    """Return the number of the class that a phrase names, by its most specific name that is known."""
    return next((_NUMBERS[name] for name in phrase.names if name in _NUMBERS), None)


def boxes_of(view: View, number: int) -> list[Box]:
    """Return the boxes of a class, the surest first."""
    scores, sides = _detections(view)
    row, column = np.nonzero(scores[number] > max(LEAST, RELATIVE * float(scores[number].max())))
    found = []
    for r, c in zip(row, column, strict=True):
        left, top, right, bottom = sides[:, r, c] / SIDE
        y, x = r / scores.shape[1], c / scores.shape[2]
        wide, high = BEYOND * (left + right), BEYOND * (top + bottom)
        box = (x - left - wide, y - top - high, x + right + wide, y + bottom + high)
        found.append(Box(tuple(map(float, box)), float(scores[number, r, c])))  # type: ignore[arg-type]
    return sorted(found, key=lambda box: -box.score)


def _detections(view: View) -> tuple[Map, Map]:
    """Return the classes' scores at peaks [80, 128, 128], and distances to the sides in pixels [4, 128, 128]."""
    if "detections" not in view.kept:
        pixels = view.resized(SIDE, SIDE)[None]
        scores, sides = network("detector").run("detector", {"image": pixels}, ["scores", "sides"])
        view.kept["detections"] = (scores[0], sides[0])
    detections: tuple[Map, Map] = view.kept["detections"]
    return detections
