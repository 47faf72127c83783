"""Validation on real files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.pictures import synthetic
from support.tiny_models import TINY_TACO_FIXED
from support.training import (
    load_state,
    log_rows,
)
from tacit import weights
from tacit.codec import Codec
from tacit.errors import InvalidInput, NotExact
from tacit.training import export as exporting
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config
from tacit.training.freezing import freeze_model
from tacit.training.run import train


@pytest.mark.slow
def test_validation_is_on_real_files(
    make_config: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_folder = tmp_path / "photos"
    image_folder.mkdir()
    Image.fromarray(synthetic(100, 70, seed=9)).save(image_folder / "a.png")
    (image_folder / "a.txt").write_text("a wave")
    last = train(
        make_config(
            "run.steps=2",
            f"validation.images={image_folder}",
            "validation.qualities=[10, 50, 90]",
            "validation.metrics=[psnr, ms-ssim]",
            "loss.shares=[1, 1, 0.5]",
        )
    )
    (row,) = [r for r in log_rows(tmp_path / "out") if r["val_q50_bpp"]]
    rates = [float(row[f"val_q{q}_bpp"]) for q in (10, 50, 90)]
    assert rates == sorted(rates)
    assert all((rate * 100 * 70) % 8 == pytest.approx(0, abs=1e-6) for rate in rates)  # whole bytes
    assert float(row["val_q90_psnr"]) > float(row["val_q10_psnr"])
    assert "ms-ssim" in caplog.text  # the photo is too small for it, which is said
    figures = read_checkpoint(last).figures
    assert figures is not None
    assert [f["quality"] for f in figures] == [10, 50, 90]
    out = tmp_path / "x.safetensors"
    exporting.export(last, out, card={"terms": "ours"})
    card = weights.describe(out).card
    assert card["steps"] == 2
    assert card["loss"] == "mse 1.0, lambda_low 0.0004, lambda_high 0.07, shares [1.0, 1.0, 0.5]"
    assert card["optimizer"] == "adam"
    assert card["terms"] == "ours"
    assert card["figures"] == figures
    assert "pool" in card["data"]
    picture = Image.fromarray(synthetic(90, 60))
    codec = Codec(out, precision="fp32")
    assert codec.decode(codec.encode(picture, "a wave", 50)).size == (90, 60)


@pytest.mark.slow
def test_validation_goes_without_what_fails(
    make_config: Callable[..., Config],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image_folder = tmp_path / "photos"
    image_folder.mkdir()
    (image_folder / "a.png").write_bytes(b"no image")
    validation = (f"validation.images={image_folder}", "validation.metrics=[psnr]", "validation.qualities=[50]")
    with pytest.raises(InvalidInput, match="none of the images can be read"):
        train(make_config(*validation))
    Image.fromarray(synthetic(64, 64)).save(image_folder / "b.png")
    with pytest.raises(InvalidInput, match="nonsense"):
        train(make_config(*validation, "validation.metrics=[nonsense]"))
    freeze = freeze_model
    calls = []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise NotExact("weights do not fit")
        return freeze(*arguments)

    monkeypatch.setattr("tacit.training.callbacks.validation.freeze_model", failing)
    state = load_state(train(make_config(*validation, "validation.every=1", "run.steps=2")))
    assert "validation goes without" in caplog.text
    assert "no validation at step 1: weights do not fit" in caplog.text
    assert [f["quality"] for f in state["callbacks"]["validation"]["figures"]] == [50]
    assert [row["step"] for row in log_rows(tmp_path / "out") if row["val_q50_bpp"]] == ["2"]


@pytest.mark.slow
def test_a_fixed_rate_is_validated_without_qualities(make_config: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(synthetic(64, 64)).save(tmp_path / "photos" / "a.png")
    options = json.dumps(TINY_TACO_FIXED.as_dict())
    taco = ("model.name=taco", "model.start=random", f"model.options={options}", "run.steps=1")
    last = train(make_config(*taco, f"validation.images={tmp_path / 'photos'}", "validation.metrics=[psnr]"))
    (figures,) = read_checkpoint(last).figures or ()
    assert figures.keys() == {"bpp", "psnr"}
    assert log_rows(tmp_path / "out")[-1]["val_bpp"] == str(figures["bpp"])
