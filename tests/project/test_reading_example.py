"""The example of a training loop runs, and learns."""

from __future__ import annotations

import importlib
import io
import re
import tarfile
from pathlib import Path

import pytest
import torch

from support.paths import ROOT
from support.pictures import synthetic
from tacit.codec import Codec

pytest.importorskip("webdataset")

EXAMPLES = ROOT / "examples"
CAPTIONS = (
    "a red boat",
    "two dogs in the snow",
    "a bowl of soup",
    "a street at night",
    "an old clock",
    "many balloons",
)

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples here")


def test_the_training_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: Codec, weights_folder: Path) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(weights_folder))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for number, caption in enumerate(CAPTIONS):
            for suffix, data in (("tacit", codec.encode(synthetic(80, 72, number))), ("txt", caption.encode())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        member = tarfile.TarInfo("bad.tacit")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"bad"))
    example = importlib.import_module("train_on_shards")
    with torch.random.fork_rng():
        lines = example.train([str(tmp_path / "0.tar")], epochs=8, batch=8, crop=64, workers=1, device="cpu")
    losses = [float(re.search(r"loss ([\d.]+), 6 images, 1 skipped", line)[1]) for line in lines]  # type: ignore[index]
    assert len(losses) == 8
    assert losses[-1] < 0.7 * losses[0]
