"""The checks of a GPU find what is equal and what is not; the processor plays the GPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from tacit.codec import Codec

CPU = torch.device("cpu")


def test_without_a_gpu_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    gpu.main()
    assert capsys.readouterr().out == "no GPU that torch can use; rehearse with --device cpu --quick\n"


@pytest.mark.slow
def test_checks_count_files_that_differ(codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "VECTORS", tmp_path / "none")
    monkeypatch.setattr(gpu, "MADE", (20, 80))
    files = tmp_path / "files"
    gpu.make(files, [codec.path], gpu.photographs(None, 2, small=True))
    found = gpu.checks([codec.path], files, CPU, quick=False)
    assert found["files"] == 4
    assert found["fp32"]["latents_equal"] == found["fp32"]["latents_equal_in_batches"] == "4 of 4"
    assert found["fp32"]["largest_difference_of_pixels"] == 0
    hashes = json.loads((files / "golden.json").read_text())
    hashes[min(hashes)]["latents"] = "0"
    (files / "golden.json").write_text(json.dumps(hashes))
    assert gpu.checks([codec.path], files, CPU, quick=False)["fp32"]["latents_equal"] == "3 of 4"


@pytest.mark.slow
def test_every_stage_is_measured(codec: Codec) -> None:
    codec = Codec(codec.path, engine="torch")  # the engine of a GPU
    pictures = gpu.photographs(None, 2, small=True)
    stages = gpu.stages(codec, pictures, runs=1)
    expected = {stage for *_, stage, _ in gpu.STAGES if "processes" not in stage}
    assert set(stages) == expected | {"encode: all", "decode: all"}
    assert stages["encode: all"] >= stages["encode: analysis"] > 0
    speed = gpu.speed(codec, pictures, (2, 1), gpu.Clock(60), runs=1)
    assert speed["files_equal"]
    assert all(value > 0 for batch in ("batch 2", "batch 1") for value in speed[batch].values())
    late = gpu.speed(codec, pictures, (2,), gpu.Clock(-1), runs=1)
    assert set(late["batch 2"].values()) == {"no time"}


@pytest.mark.slow
def test_a_block_of_products_is_the_block() -> None:
    assert gpu.blocks(CPU, 1 << 14, compile_too=False)["block of products"][1] < 1e-5
