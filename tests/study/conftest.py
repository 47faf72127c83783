"""Fixtures that tests of studies share: a few images with captions, how to measure them, and a progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from support.pictures import synthetic
from support.study import WORDS, RecordingProgress
from tacit.evaluation import runner
from tacit.finding import cue_finder
from tacit.finding.colour import ColourCue
from tacit.finding.place import PlaceCue
from tacit.finding.rarity import RarityCue
from tacit.study import ablation_study
from tacit.study.config import MeasureConfig, SetConfig


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """One torch thread: with more, small networks on a busy machine wait for each other most of the time."""
    for module in (runner, ablation_study):
        monkeypatch.setattr(module, "cores", lambda: 1)


@pytest.fixture(autouse=True)
def quick_cues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captions steer by the cues that need no network: the networks take longer than all else in small images."""
    monkeypatch.setattr(cue_finder, "default_cues", lambda: (ColourCue(), PlaceCue(), RarityCue()))


@pytest.fixture
def progress() -> RecordingProgress:
    return RecordingProgress()


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures, and lists of short captions and of several."""
    folder = tmp_path_factory.mktemp("study")
    rows = []
    for i, text in enumerate(WORDS):
        Image.fromarray(synthetic(96, 80, seed=i)).save(folder / f"p{i}.png")
        rows.append({"file": f"p{i}.png", "captions": [text, f"{text} in the sun"]})
    lines = "\n".join(map(json.dumps, rows))
    (folder / "list.jsonl").write_text(lines)
    (folder / "long.jsonl").write_text(
        "\n".join(json.dumps({"file": r["file"], "caption": f"{r['captions'][0]}, {'very ' * 30}large"}) for r in rows)
    )
    return folder


@pytest.fixture
def measured(image_folder: Path) -> Callable[..., MeasureConfig]:
    def make(*metrics: str, sources: Sequence[str] = ("list.jsonl",)) -> MeasureConfig:
        captions = {"short": "own", "detailed": str(image_folder / "long.jsonl"), "several": "joined"}
        return MeasureConfig(
            tuple(SetConfig(str(image_folder / s), captions) for s in sources),
            (20, 50, 80),
            metrics or ("psnr",),
            "fp32",
        )

    return make
