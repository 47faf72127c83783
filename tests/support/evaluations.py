"""Evaluations for tests: a progress that remembers, options, and results that nobody measured."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.pictures import synthetic
from tacit.evaluation import results
from tacit.evaluation.codecs import CODECS, EvalCodec
from tacit.evaluation.cost import Cost
from tacit.evaluation.datasets.kodak import KODAK
from tacit.evaluation.evaluation import EvalOptions
from tacit.evaluation.measurements import Measurement, Measurements
from tacit.evaluation.results import Results


def write_image(path: Path, seed: int = 0) -> Path:
    """Write a small image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(synthetic(24, 16, seed)).save(path)
    return path


def usable_codec(name: str) -> EvalCodec:
    """Return a codec by its name; the test is skipped where its library is missing."""
    codec = CODECS[name]
    if (why := codec.missing()) is not None:
        pytest.skip(why)
    return codec


class RecordingProgress:
    """A progress that remembers what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.measured = 0
        self.known = 0
        self.total = 0

    def begin(self, total: int, known: int) -> None:
        self.total, self.known = total, known

    def done(self, text: str) -> None:
        self.measured += 1

    def say(self, text: str) -> None:
        self.messages.append(text)


def eval_options(photos: Path, out: Path, **more: Any) -> EvalOptions:
    given: dict[str, Any] = {"codecs": ["jpeg", "webp"], "metrics": ["psnr"], "points": 3, "jobs": 1, "crops": 0}
    return EvalOptions(datasets=[str(photos)], out=out, **{**given, **more})


class _Tags(HTMLParser):
    """Open tags must be closed, and nothing may come from elsewhere."""

    void = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.used: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                assert value is not None
                assert value.startswith(("data:", "#")), value
                self.used |= {value[1:]} if value.startswith("#") else set()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_html(page: str) -> None:
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert tags.used <= set(tags.ids)
    assert "url(http" not in page
    assert not re.search(r"\$\w", page.split("</style>")[1])


def two_codec_results(name: str = "Kodak", notes: tuple[str, ...] = (), shift: float = 0.0) -> Results:
    """Results of two codecs on 24 images, made up."""
    rng = np.random.default_rng(3)
    rows = []
    images = list(KODAK)
    for image in images:
        hard = rng.uniform(-3, 3)
        for codec, better in (("jpeg", 0.0), ("tacit-s", 2.0)):
            for i in range(4):
                size = round(1000 * 2**i * 1.05**hard)
                value = 26 + 3.0 * i - hard + better + (shift if codec == "tacit-s" else 0) + rng.normal(0, 0.01)
                rows.append(
                    Measurement(
                        dataset=name,
                        image=image,
                        codec=codec,
                        quality=10 * i,
                        width=100,
                        height=100,
                        bytes=size,
                        file=f"files/{codec}/{i}/{image}",
                        encode=Cost(0.1, 1000),
                        decode=Cost(0.2, None),
                        metrics={"psnr": round(value, 5)},
                        notes={},
                    )
                )
    infos = tuple(results.ImageInfo(image, image, None) for image in images)
    return Results(
        command="tacit eval", date="2026-01-01", seconds=1.0, machine={"cores": 2}, libraries={"torch": "2"},
        datasets=(results.DatasetInfo(name, infos, notes),),
        codecs={"jpeg": {"format": "JPEG"}, "tacit-s": {"weights": {}}},
        metrics=(results.MetricInfo("psnr", "dB", True, "mse"),), skipped={}, anchor="jpeg",
        measurements=Measurements(tuple(rows), (), ()),
    )  # fmt: skip
