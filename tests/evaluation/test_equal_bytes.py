"""Images at equal bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.evaluations import RecordingProgress, eval_options
from support.faulty_codec import FaultyCodec
from tacit.evaluation.codecs import CODECS
from tacit.evaluation.cost import Cost
from tacit.evaluation.datasets import load_dataset
from tacit.evaluation.equal_bytes import detailed_box, equal_bytes_examples
from tacit.evaluation.evaluation import evaluate
from tacit.evaluation.measurements import Measurement
from tacit.evaluation.pixels import load_pixels


def test_pictures_at_equal_bytes_are_as_near_below_as_the_codec_can(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    codecs = [CODECS["webp"], CODECS["jpeg"]]
    found = evaluate(eval_options(photos, out, qualities={"webp": [20, 60, 90], "jpeg": [5, 95]}), RecordingProgress())
    dataset = load_dataset(str(photos))
    (one,) = equal_bytes_examples(dataset, codecs, found.measurements.rows, out, 1, RecordingProgress())
    webp, jpeg = sorted(one.files, key=lambda s: s.codec, reverse=True)
    assert one.leader == "webp"
    assert webp.bytes == one.limit
    assert jpeg.bytes <= one.limit
    assert not jpeg.too_large
    assert not isinstance(jpeg.quality, str)
    # One more would be too large.
    pixels = load_pixels(photos / one.image)
    CODECS["jpeg"].encode(pixels, None, jpeg.quality + 1, tmp_path / "x.jpg", 1)
    assert (tmp_path / "x.jpg").stat().st_size > one.limit

    def fails(*_: object) -> None:
        raise RuntimeError("out of ideas")

    monkeypatch.setattr(type(CODECS["jpeg"]), "decode", fails)
    progress = RecordingProgress()
    (one,) = equal_bytes_examples(dataset, codecs, found.measurements.rows, out, 1, progress)
    assert one.files == ()
    assert progress.messages[1].endswith("jpeg: not shown at equal bytes: out of ideas")

    busy = np.zeros((400, 600, 3), np.uint8)
    busy[210:380, 320:560] = np.random.default_rng(0).integers(0, 255, (170, 240, 3))
    left, top, right, bottom = detailed_box(busy, 256, 192)
    assert (right - left, bottom - top) == (256, 192)
    assert abs(left - 312) < 100
    assert abs(top - 200) < 100


def test_qualities_that_fall_as_the_rate_rises_are_not_searched(photos: Path, tmp_path: Path) -> None:
    """Some codecs count the other way round; their best measured file is shown."""
    codec = FaultyCodec(qualities=(3, 2, 1))
    dataset = load_dataset(str(photos), limit=1)
    rows = [
        Measurement(
            dataset=dataset.name,
            image="a.png",
            codec=name,
            quality=quality,
            width=176,
            height=164,
            bytes=size,
            file=f"{name}-{quality}",
            encode=Cost(0.1, None),
            decode=Cost(0.1, None),
            metrics={},
            notes={},
        )
        for name, quality, size in (("leader", 1, 250), ("broken", 3, 100), ("broken", 2, 200), ("broken", 1, 300))
    ]
    for row in rows:
        (tmp_path / row.file).write_bytes(b"x" * row.bytes)
    leader = FaultyCodec(name="leader", is_own=True)
    (one,) = equal_bytes_examples(dataset, [leader, codec], rows, tmp_path, 1, RecordingProgress())
    assert [(file.codec, file.quality, file.bytes) for file in one.files] == [("leader", 1, 250), ("broken", 2, 200)]
