"""Runs on two processes, and where little is installed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.pictures import synthetic
from support.process_server import train_together
from support.training import (
    load_state,
    log_rows,
)
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config, ValidationConfig
from tacit.training.dataset.bundle import read_bundle
from tacit.training.dataset.image_files import decode_image
from tacit.training.preparation import prepare
from tacit.training.run import train


@pytest.mark.slow
def test_two_processes_train_as_one(
    make_config: Callable[..., Config], whole_clip_folder: Path, tmp_path: Path
) -> None:
    overrides = (
        "data.batch=4",
        "run.steps=4",
        "loss.joint=0.05",
        f"loss.clip={whole_clip_folder}",
        "data.caption_dropout=0.2",
    )
    one = make_config(*overrides, out="one")
    train(one)
    two = dataclasses.replace(
        one, run=dataclasses.replace(one.run, out=str(tmp_path / "two"), devices=2, strategy="ddp", accelerator="cpu")
    )
    path = tmp_path / "two.yaml"
    path.write_text(two.to_yaml())
    train_together(path, 2, tmp_path)
    first, second = log_rows(tmp_path / "one"), log_rows(tmp_path / "two")
    assert len(first) == len(second) == 4
    for a, b in zip(first, second, strict=True):
        for name in ("loss", "bpp", "psnr", "joint", "norm", "gigapixels", "learning_rate"):
            assert float(a[name]) == pytest.approx(float(b[name]), rel=2e-4), (name, a["step"])
    # the same weights but for the order of sums
    a, b = (load_state(tmp_path / name / "last.ckpt")["state_dict"] for name in ("one", "two"))
    assert all(torch.allclose(a[k], b[k], atol=1e-4) for k in a)


BARE = """
import sys
import lightning.pytorch
for name in {blocked}:
    sys.modules[name] = None
from tacit.training.__main__ import main
for arguments in {runs!r}:
    sys.argv = ["train", *arguments]
    status = main()
    assert not status, status
"""


ELSEWHERE = ["constriction", "tokenizers", "click", "transformers", "webdataset", "tensorboard", "skimage"]


@pytest.mark.slow
def test_prepared_photos_train_where_little_is_installed(
    image_folder: Path, make_config: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = tmp_path / "prepared"
    (tmp_path / "large").mkdir()
    Image.fromarray(synthetic(256, 192)).save(tmp_path / "large" / "a.png")
    config = make_config("data.kind=folder", f"data.path={image_folder}")
    assert prepare(config, prepared) == (3, 1)
    assert "narrow.png is left out: the image must be 64x64 pixels or larger, got 20x90" in caplog.text
    pool = read_bundle(prepared)
    assert [p.tolist() for p in pool.shapes] == [[90, 80]] * 3
    assert np.array_equal(pool.image(2), decode_image(image_folder / "below" / "2.jpg"))
    assert pool.captions == (("a boat",), (), ())
    there = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, kind="prepared", path=str(prepared)),
        validation=ValidationConfig(
            images=str(tmp_path / "large"), every=0, count=1, qualities=(50.0,), metrics=("psnr",)
        ),
        # sums of floats depend on the threads, and the two runs shall be equal
        run=dataclasses.replace(config.run, steps=2, out=str(tmp_path / "there"), threads=1),
    )
    path = tmp_path / "there.yaml"
    path.write_text(there.to_yaml())
    tuned = [str(path), "run.steps=1", f"run.out={tmp_path / 'tuned'}", "--from", str(tmp_path / "there" / "last.ckpt")]
    script = BARE.format(blocked=ELSEWHERE, runs=[[str(path)], tuned])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = log_rows(tmp_path / "there")
    assert [r["step"] for r in rows if r["loss"]] == ["1", "2"]
    assert rows[-1]["val_q50_psnr"]
    assert read_checkpoint(tmp_path / "tuned" / "last.ckpt").config["model"]["name"] == "tacit-s"  # type: ignore[index]
    here = dataclasses.replace(there, run=dataclasses.replace(there.run, out=str(tmp_path / "here")))
    train(here)
    real = log_rows(tmp_path / "here")
    assert [r["loss"] for r in real if r["loss"]] == [r["loss"] for r in rows if r["loss"]]
    assert rows[-1]["val_q50_bpp"] == real[-1]["val_q50_bpp"]  # the file is the same with either range coder
