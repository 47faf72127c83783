"""Finders that run networks through transformers, with tiny ones of random weights."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra tacit[clip] is not installed")

from safetensors.torch import load_file, save_file

from support.tiny_finders import MAKERS, tiny_finder
from tacit.cli import main
from tacit.errors import CorruptWeights, InvalidInput, MissingExtra, MissingWeights, UnknownModel
from tacit.finding import load_finder
from tacit.finding.network_finder import NETWORKS, NetworkFinder
from tacit.finding.phrases import phrases_of
from tacit.pretrained import open_vocabulary
from tacit.pretrained.open_vocabulary import Detections, NamedThing

pytestmark = pytest.mark.slow  # the import of transformers alone takes seconds

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
CAPTION = "a red boat, and a dog"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = tiny_finder(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return folder


@pytest.mark.parametrize("kind", MAKERS)
def test_things_are_found_in_one_pass(
    folders: Callable[[str], Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = NetworkFinder(kind, str(folders(kind)), threshold=0.01)
    found = finder(PIXELS, CAPTION)
    assert found.found == ("red boat", "dog")
    assert all(thing.cues == (kind,) for thing in found.things)
    assert 0 <= found.map.min() < found.map.max() <= 1
    passes: list[dict[str, Any]] = []
    model = finder._network._model  # type: ignore[union-attr]
    model.register_forward_pre_hook(lambda *given: passes.append(given[-1]), with_kwargs=True)
    assert (finder(PIXELS, CAPTION).map == found.map).all()
    assert len(passes) == 1
    boat, dog = finder._network(PIXELS, [NamedThing("red boat", (4, 8)), NamedThing("dog", (0, 3))])  # type: ignore[misc]
    values = (boat, dog) if isinstance(boat, np.ndarray) else (boat.scores, dog.scores)  # type: ignore[union-attr]
    assert not np.array_equal(*values)
    assert finder(PIXELS[..., :1], CAPTION).found  # grey
    assert finder(PIXELS, "of the").things == ()
    # another process loads the network anew, and finds the same
    copied = pickle.loads(pickle.dumps(finder))
    assert copied._network is None
    assert (copied(PIXELS, CAPTION).map == found.map).all()


@pytest.mark.parametrize("kind", MAKERS)
def test_nothing_is_found_below_the_threshold(folders: Callable[[str], Path], kind: str) -> None:
    found = NetworkFinder(kind, str(folders(kind)), threshold=1)(PIXELS, CAPTION)
    assert found.missed == ("red boat", "dog")
    assert (found.map == 0.5).all()
    with pytest.raises(InvalidInput, match="threshold must be 0 to 1, got 2"):
        NetworkFinder(kind, str(folders(kind)), threshold=2)


@pytest.mark.parametrize("kind", MAKERS)
def test_settings_name_the_files(folders: Callable[[str], Path], kind: str, tmp_path: Path) -> None:
    finder = load_finder(f"{kind}:{folders(kind)}")
    settings = finder.settings
    assert (settings["finder"], settings["threshold"]) == (kind, NETWORKS[kind].threshold)
    assert json.loads(json.dumps(settings)) == settings
    other = tmp_path / "other"
    shutil.copytree(folders(kind), other)
    assert load_finder(f"{kind}:{other}").settings == settings
    path = other / "model.safetensors"
    tensors = load_file(path)
    first = next(iter(tensors))
    tensors[first] = tensors[first] + 1
    save_file(tensors, path, {"format": "pt"})
    assert load_finder(f"{kind}:{other}").settings != settings
    del tensors[first]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(CorruptWeights, match=f"{NETWORKS[kind].title} .*: [14] tensors missing, the first {first}"):
        load_finder(f"{kind}:{other}")(PIXELS, CAPTION)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_model_that_is_not_here(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    usual = NETWORKS[kind].usual

    def nowhere(name: str, *, local_files_only: bool) -> str:
        assert local_files_only  # nothing is downloaded
        raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", nowhere)
    with pytest.raises(MissingWeights, match=rf"{usual} is not on this machine: run `hf download {usual}`, or name a"):
        load_finder(kind)
    with pytest.raises(MissingWeights, match=r"run `hf download some/model`"):
        load_finder(f"{kind}:some/model")
    with pytest.raises(MissingWeights, match="no such folder, and not a name on the Hugging Face hub"):
        load_finder(f"{kind}:{tmp_path / 'nowhere'}")
    with pytest.raises(MissingWeights, match=r"no config\.json in this folder"):
        load_finder(f"{kind}:{tmp_path}")
    with pytest.raises(UnknownModel, match=f"{kind}:MODEL"):
        load_finder(f"{kind}:")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"tacit\[clip\]"):
        load_finder(kind)


def test_the_command_line_says_in_one_line_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    image = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(image)
    for command in (["find", str(image), "a dog"], ["encode", str(image), "-c", "a dog"]):
        assert main([*command, "--finder", f"owlv2:{tmp_path}"]) in (1, 2)
        shown = capsys.readouterr().err.splitlines()
        assert "no config.json in this folder" in shown[-1]
        assert not any("Traceback" in line for line in shown)


def test_owlv2_sees_each_thing_as_if_alone(folders: Callable[[str], Path]) -> None:
    finder = NetworkFinder("owlv2", str(folders("owlv2")), threshold=0.01)
    both, (alone,) = finder(PIXELS, CAPTION).things, finder(PIXELS, "a dog").things
    assert both[1].map == pytest.approx(alone.map, abs=1e-4)


def test_many_things_take_several_passes(folders: Callable[[str], Path]) -> None:
    things = [NamedThing(f"{letter}{other} tree", (3, 7)) for letter in "bcdefghj" for other in "aeiou"]
    model: Any = NetworkFinder("grounding-dino", str(folders("grounding-dino")))._load()
    groups = list(model._groups(things))
    assert [thing for group in groups for thing in group] == things
    assert len(groups) == 4  # of 10 things with 3 tokens each, and 2 for the ends
    assert len(model(PIXELS, things)) == 40
    assert list(model._groups([NamedThing("dog " * 99, (0, 3))])) == [[NamedThing("dog " * 99, (0, 3))]]
    assert model(PIXELS, [NamedThing("tree " * 40 + "dog", (200, 203))])[0].scores.max() == 0  # cut off
    clipseg: Any = NetworkFinder("clipseg", str(folders("clipseg")))._load()
    assert len(clipseg(PIXELS, things)) == 40


class Seeing(NetworkFinder):
    """A finder whose network sees what it is told to."""

    def __init__(self, folder: Path, seen: Detections) -> None:
        super().__init__("owlv2", str(folder))
        self._network = lambda pixels, things: [seen] * len(things)


LEFT, RIGHT, BEYOND, THIN = (0, 0, 0.25, 0.5), (0.75, 0, 1, 0.5), (1.1, 0, 1.5, 1), (0.5, 0, 0.5001, 1)


@pytest.mark.parametrize(
    ("caption", "scores", "columns"),
    [
        ("the boats", (0.6, 0.7), (2, 2)),
        ("the boat", (0.6, 0.7), (2, 2)),  # each may be the one
        ("the left boat", (0.6, 0.7), (2, 0)),
        ("the boat on the right", (0.9, 0.5), (0, 2)),
        ("the boat", (0.9, 0.3), (2, 0)),  # much less sure than the other
        ("the boat", (0.1, 0.1), (0, 0)),  # below the threshold
    ],
)
def test_boxes_become_maps(
    folders: Callable[[str], Path], caption: str, scores: tuple[float, float], columns: tuple[int, int]
) -> None:
    seen = Detections(np.array([*scores, 1, 1], np.float32), np.array([LEFT, RIGHT, BEYOND, THIN], np.float32))
    if max(scores) < 0.5:
        seen = Detections(seen.scores[:2], seen.boxes[:2])
    else:  # boxes outside of the image or of no size count for nothing
        seen = Detections(np.minimum(seen.scores, max(scores)), seen.boxes)
    (thing,) = Seeing(folders("owlv2"), seen)(PIXELS, caption).things
    if not any(columns):
        assert thing.map is None
        return
    assert thing.map is not None
    assert thing.map.shape == (6, 8)
    assert (thing.map[0, :2].sum(), thing.map[0, -2:].sum()) == columns
    assert thing.map.sum() == 3 * sum(columns)


def test_corners_of_boxes() -> None:
    boxes = np.array([[0.5, 0.5, 0.2, 0.4]], np.float32)
    assert open_vocabulary.corners(boxes).tolist() == [pytest.approx([0.4, 0.3, 0.6, 0.7])]


def test_boxes_of_owlv2_are_of_the_image_and_not_of_the_square_around_it(folders: Callable[[str], Path]) -> None:
    finder = NetworkFinder("owlv2", str(folders("owlv2")))
    network: Any = finder._load()
    thing = NamedThing("dog", (0, 3))
    (wide,) = network(np.full((16, 64, 3), 128, np.uint8), [thing])
    (square,) = network(np.full((64, 64, 3), 128, np.uint8), [thing])  # the same to the network: grey
    assert wide.boxes == pytest.approx(square.boxes * [1, 4, 1, 4], abs=1e-4)


def test_grounding_dino_scores_the_noun(folders: Callable[[str], Path]) -> None:
    finder = NetworkFinder("grounding-dino", str(folders("grounding-dino")))
    network: Any = finder._load()
    (phrase,) = phrases_of("a red boat on the blue lake")
    from tacit.finding.network_finder import _named

    thing = _named(phrase)
    assert thing.text[slice(*thing.head)] == "boat"
    (boat,) = network(PIXELS, [thing])
    at = thing.text.index("lake")
    (lake,) = network(PIXELS, [NamedThing(thing.text, (at, at + 4))])
    (all_words,) = network(PIXELS, [NamedThing(thing.text, (0, len(thing.text)))])
    assert not np.array_equal(boat.scores, lake.scores)
    assert (all_words.scores >= np.maximum(boat.scores, lake.scores) - 1e-6).all()
