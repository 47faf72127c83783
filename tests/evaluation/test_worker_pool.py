"""Worker processes: how many there are, their deaths, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from support.evaluations import RecordingProgress
from support.faulty_codec import FaultyCodec
from tacit.evaluation import runner, worker_pool
from tacit.evaluation.codecs import CODECS, Quality
from tacit.evaluation.datasets import load_dataset
from tacit.evaluation.metrics import load_metric


@pytest.mark.slow
def test_several_processes_give_the_same_and_survive_the_death_of_one(two: Path, tmp_path: Path) -> None:
    codecs = [FaultyCodec(fault="dies"), CODECS["jpeg"]]
    qualities: dict[str, tuple[Quality, ...]] = {"broken": (1,), "jpeg": (10, 50)}
    progress = RecordingProgress()
    found = runner.run(
        [load_dataset(str(two))], codecs, [load_metric("psnr")], qualities, tmp_path / "out", progress, jobs=2
    )
    assert {(r.image, r.codec, r.quality) for r in found.rows} == {
        ("wide.png", "broken", 1),
        *((name, "jpeg", quality) for name in ("small.png", "wide.png") for quality in (10, 50)),
    }
    (failure,) = found.failures
    assert "its process died" in failure.reason
    alone = runner.run(
        [load_dataset(str(two))], [CODECS["jpeg"]], [load_metric("psnr")], {"jpeg": (10, 50)}, tmp_path / "alone",
        RecordingProgress(), jobs=1,
    )  # fmt: skip
    values = {(r.image, r.quality): (r.bytes, r.metrics) for r in found.rows if r.codec == "jpeg"}
    assert values == {(r.image, r.quality): (r.bytes, r.metrics) for r in alone.rows}


def test_no_more_processes_than_memory_has_room_for(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (2000, 1000)).save(photos / "large.png")
    datasets, codecs = [load_dataset(str(photos))], [CODECS["jpeg"]]
    need = worker_pool.WORKER_BYTES + 2000 * 1000 * worker_pool.BYTES_PER_PIXEL
    monkeypatch.setattr(worker_pool, "cores", lambda: 8)
    for free, processes in ((3.1 * need / 0.8, 3), (0.5 * need, 1), (100 * need, 8), (None, 8)):
        monkeypatch.setattr(worker_pool, "available_memory", lambda free=free: free)
        assert worker_pool.worker_count(None, datasets, codecs) == processes
    assert worker_pool.worker_count(5, datasets, codecs) == 5
    large = FaultyCodec(held_memory=need)  # as a model with its weights
    monkeypatch.setattr(worker_pool, "available_memory", lambda: 4.1 * need / 0.8)
    assert worker_pool.worker_count(None, datasets, [*codecs, large]) == 2


def interrupted(photos: Path, folder: Path, underway: Callable[[], bool]) -> None:
    """Evaluate with a codec that waits at its second quality, and interrupt it by Ctrl-C."""
    (folder / "codec.py").write_text(
        "import shutil, sys, time\n"
        "if sys.argv[1] == 'wait': open(sys.argv[4], 'w').close(); time.sleep(600)\n"
        "shutil.copy(sys.argv[2], sys.argv[3])\n"
    )
    run = f"'{sys.executable}' '{folder / 'codec.py'}'"
    (folder / "codecs.toml").write_text(
        f'''[codec.copy]
encode = "{run} {{quality}} {{input}} {{file}} '{folder / "waiting"}'"
decode = "{run} go {{file}} {{output}}"
suffix = "png"
qualities = ["go", "wait"]
'''
    )
    arguments = ["eval", photos, "-o", folder / "out", "--codecs", "copy", "--codec-file", folder / "codecs.toml"]
    arguments += ["--metrics", "psnr-y", "-j", "2", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tacit", *map(str, arguments)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 240  # a busy machine starts processes slowly
    try:
        while not underway() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert underway()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "run the same command again to go on from there" in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_programs_too_and_keeps_what_is_done(photos: Path, tmp_path: Path) -> None:
    journal = tmp_path / "out" / "results.jsonl"

    def underway() -> bool:
        return (tmp_path / "waiting").exists() and journal.is_file() and journal.stat().st_size > 0

    interrupted(photos, tmp_path, underway)
    assert '"quality": "go"' in journal.read_text()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_while_processes_start(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does a process that starts print a traceback, nor does it do a task of which nobody wants the result."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if '--multiprocessing-fork' in sys.orig_argv:\n"
        f"    open({str(tmp_path / 'starting')!r}, 'w').close(); time.sleep(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), *sys.path)))
    interrupted(photos, tmp_path, (tmp_path / "starting").exists)
    assert not (tmp_path / "waiting").exists()
