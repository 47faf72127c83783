"""The progress of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support.training import (
    log_rows,
)
from tacit.training.config import Config
from tacit.training.run import train


@pytest.mark.slow
def test_a_run_says_how_fast_it_is_and_what_is_left(
    make_config: Callable[..., Config], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    train(make_config("run.steps=10", "run.log_every=5", "run.progress=true"))
    first, last = capsys.readouterr().err.strip().splitlines()
    assert re.fullmatch(r"step 5 \(50\.0% done.*\): loss .* bpp, .* dB, [\d.]+ img/s, \d+% waiting", first)
    assert last.startswith("step 10 (100.0% done): ")
    row = log_rows(tmp_path / "out")[-1]
    assert 0 <= float(row["waiting"]) < 1
    assert float(row["images_per_second"]) > 1
