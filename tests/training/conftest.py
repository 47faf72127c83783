"""Fixtures of the tests of training: a pool, a configuration of a short run, and a folder of images."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from support.pictures import synthetic
from support.shards import write_tar
from support.tiny_models import TINY
from support.training import png
from tacit.training import config as configurations
from tacit.training import thawing
from tacit.training.config import Config
from tacit.training.dataset.pool import build_pool

if importlib.util.find_spec("lightning") is None:
    collect_ignore_glob = ["*"]  # the extra tacit[train] is not installed

SIZES = json.dumps(TINY.as_dict())


@pytest.fixture(autouse=True)
def quick_prior_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prior of weights that are thawed is fitted roughly; test_starting_weights.py tests the fit itself."""
    monkeypatch.setattr(thawing, "FIT_STEPS", 40)


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of five small pictures, two of which have captions."""
    folder = tmp_path_factory.mktemp("pool")
    rows = []
    for i, size in enumerate(((96, 80), (80, 128), (130, 90), (72, 72), (100, 100))):
        Image.fromarray(synthetic(*size, seed=i)).save(folder / f"{i}.png")
        rows.append({"file": f"{i}.png", "captions": [["a grey wave", "a wave"], ["an edge"]][i] if i < 2 else []})
    build_pool(rows, folder, folder / "pool", 64)
    return folder / "pool"


@pytest.fixture
def make_config(pool: Path, tmp_path: Path) -> Callable[..., Config]:
    """Makes the configuration of a run of a few steps on the pool: make_config("run.steps=4", ...)."""

    def make(*overrides: str, out: str = "out") -> Config:
        return configurations.read(
            "tacit-s",
            [
                f"model.options={SIZES}",
                f"data.path={pool}",
                "data.batch=2",
                "data.crop=64",
                f"run.out={tmp_path / out}",
                "run.minutes=0",
                "run.steps=8",
                "run.precision=32-true",
                "run.log_every=1",
                "run.progress=false",
                "schedule.warmup=2",
                *overrides,
            ],
        )

    return make


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three good images and three bad ones, the first with a caption."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for i in range(3):
        Image.fromarray(synthetic(80, 90, seed=i)).save(folder / ("below" if i else ".") / f"{i}.jpg")
    (folder / "0.txt").write_text("a boat\n", "utf-8")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:900])
    Image.fromarray(synthetic(20, 90)).save(folder / "narrow.png")
    return folder


@pytest.fixture
def image_shards(tmp_path: Path) -> Path:
    """Four shards of three images each, grey 0 to 11, with captions; the first shard has bad ones too."""
    pytest.importorskip("webdataset")
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(4):
        values = range(3 * number, 3 * number + 3)
        rows = [{"png": png(v), "txt": f"grey {v}".encode()} for v in values]
        if not number:
            rows[0] = {"png": png(0), "json": json.dumps({"captions": ["grey 0"]}).encode()}
            rows += [{"png": b"no image"}, {"txt": b"no image"}, {"png": png(0, 32)}]
        members = {f"s{number}-{i:03}.{suffix}": data for i, row in enumerate(rows) for suffix, data in row.items()}
        write_tar(folder / f"s{number}.tar", members)
    return folder
