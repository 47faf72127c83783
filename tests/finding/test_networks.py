from __future__ import annotations

import importlib.resources

import numpy as np
import pytest
from PIL import Image

from tacit.errors import CorruptWeights
from tacit.finding import CueFinder, find, networks
from tacit.finding.detector import ALIKE, CLASSES, DetectorCue, boxes_of, class_of
from tacit.finding.detector import _likely_boxes as likely_boxes
from tacit.finding.faces import FacesCue, faces_of
from tacit.finding.faces import _distinct as distinct
from tacit.finding.phrases import phrases_of
from tacit.finding.view import View


def photograph(name: str) -> np.ndarray:
    """One of scikit-image's photographs, which need no network."""
    pytest.importorskip("skimage", reason="the photographs are scikit-image's")
    path = importlib.resources.files("skimage.data") / f"{name}.png"
    if not path.is_file():
        pytest.skip(f"scikit-image has no {name}.png here")
    with path.open("rb") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def overlap(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The area that two boxes share, of that of both together."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    common = max(0, width) * max(0, height)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return common / (sum(areas) - common)


@pytest.mark.parametrize(
    ("name", "kind", "box"),
    [("astronaut", "person", (0.0, 0.0, 0.75, 1.0)), ("coffee", "cup", (0.27, 0.04, 0.7, 0.77))],
)
def test_detector_sees_what_a_photograph_shows(name: str, kind: str, box: tuple[float, ...]) -> None:
    view = View(photograph(name))
    boxes = {name: boxes_of(view, number) for number, name in enumerate(CLASSES)}
    scores = {name: found[0].score for name, found in boxes.items() if found}
    assert kind in sorted(scores, key=lambda name: -scores[name])[:2]
    assert overlap(boxes[kind][0].sides, box) > 0.6


def test_faces_are_seen_where_they_are() -> None:
    view = View(photograph("astronaut"))
    (face,) = faces_of(view).tolist()
    assert overlap(tuple(face[:4]), (170 / 512, 65 / 512, 275 / 512, 200 / 512)) > 0.5
    assert not len(faces_of(View(photograph("chelsea"))))


def test_parts_of_a_person_are_where_the_face_says() -> None:
    pixels = photograph("astronaut")
    rows = {}
    for part in ("hair", "eyes", "mouth", "suit"):
        evidence = FacesCue()(View(pixels), phrases_of(f"the woman's {part}")[0])
        assert evidence is not None
        rows[part] = float((evidence.map.sum(axis=1) * np.arange(len(evidence.map))).sum() / evidence.map.sum())
    assert rows["hair"] < rows["eyes"] < rows["mouth"] < rows["suit"]


def test_face_is_found_by_words() -> None:
    found = find(photograph("astronaut"), "the woman's face")
    assert found.things[0].cues == ("detector", "faces")
    row, column = np.argwhere(found.map > 0.5).mean(axis=0)  # the middle
    assert 65 / 512 < row / found.map.shape[0] < 200 / 512
    assert 170 / 512 < column / found.map.shape[1] < 275 / 512


def test_parts_of_what_is_no_person_are_no_faces() -> None:
    assert FacesCue()(View(photograph("astronaut")), phrases_of("the nose of the plane")[0]) is None


def test_things_have_the_class_of_their_most_specific_name() -> None:
    def name(text: str) -> str | None:
        number = class_of(phrases_of(text)[0])
        return None if number is None else CLASSES[number]

    assert len(CLASSES) == 80
    assert name("the red parrot") == "bird"
    assert name("a parking meter") == "parking meter"
    assert name("two fire hydrants") == "fire hydrant"
    assert name("a hot dog") == "hot dog"
    assert name("a brown dog") == "dog"
    assert name("the sailor") == "person"
    assert name("the flibbertigibbet") is None


def test_class_that_is_not_in_the_image_is_not_seen() -> None:
    assert DetectorCue()(View(photograph("chelsea")), phrases_of("a toaster")[0]) is None


def test_networks_run_once_for_several_phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    real = networks.network("detector").run

    def run(*arguments: object) -> object:
        runs.append(arguments)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(networks.network("detector"), "run", run)
    CueFinder()(np.full((64, 64, 3), 90, np.uint8), "a dog, a cat and a boat")
    assert len(runs) == 1


def test_altered_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(networks.SHA256, "faces", "0" * 64)
    with pytest.raises(CorruptWeights, match="reinstall tacit"):
        networks.network.__wrapped__("faces")


def test_networks_are_small() -> None:
    assert sum(path.stat().st_size for path in networks.FOLDER.glob("*.safetensors")) <= 8_000_000


def test_boxes_that_overlap_a_surer_one_are_left_out() -> None:
    boxes = np.array([[0, 0, 10, 10, 0.5], [1, 0, 11, 10, 0.9], [30, 0, 40, 10, 0.6], [2, 2, 5, 5, 0.4]], np.float32)
    assert distinct(boxes, 0.5).tolist() == [1, 2, 3]
    assert distinct(boxes, 0.5, of_smaller=True).tolist() == [1, 2]


def test_class_that_is_taken_for_the_named_one_counts_where_it_is_seen_more_surely() -> None:
    view = View(photograph("chelsea"))  # the network takes the cat for a dog
    cat, dog = (boxes_of(view, CLASSES.index(name))[0].score for name in ("cat", "dog"))
    likely = likely_boxes(view, CLASSES.index("cat"))
    assert dog > 2 * cat
    assert [round(box.score, 5) for box in likely[:2]] == [round(ALIKE * dog, 5), round(cat, 5)]
    assert likely_boxes(view, CLASSES.index("person")) == boxes_of(view, CLASSES.index("person"))


def test_part_in_front_of_its_noun_is_found_as_its_whole() -> None:
    pixels = photograph("coffee")
    whole = DetectorCue()(View(pixels), phrases_of("the cup")[0])
    part = DetectorCue()(View(pixels), phrases_of("the cup handle")[0])
    assert whole is not None
    assert part is not None
    assert np.array_equal(whole.map, part.map)
    assert part.weight < whole.weight
