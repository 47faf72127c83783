"""Ablations: trained, exported, measured and reported, on small models and images."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.pictures import synthetic
from support.process_server import process_server
from support.study import WORDS, RecordingProgress
from support.tiny_models import TINY
from tacit import cli
from tacit.evaluation.evaluation import EvalOptions, evaluate
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.results import Results
from tacit.study import ablation_study, report, summary
from tacit.study import config as configurations
from tacit.study.ablation_study import run_ablation
from tacit.study.config import AblationConfig
from tacit.training.dataset.pool import build_pool

SIZES = json.dumps(TINY.as_dict())


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    rows: list[dict[str, object]] = []
    for i, text in enumerate(WORDS):
        Image.fromarray(synthetic(100, 90, seed=10 + i)).save(folder / f"{i}.png")
        rows.append({"file": f"{i}.png", "captions": [text, f"{text} again"]})
    build_pool(rows, folder, folder / "pool", 64)
    return folder / "pool"


@pytest.fixture
def ablation_config(pool: Path, image_folder: Path, tmp_path: Path) -> Path:
    """Two variants, two seeds, four steps each."""
    path = tmp_path / "ablation.yaml"
    content = {
        "kind": "ablation",
        "training": "tacit-s",
        "seeds": [0, 1],
        "shared": [
            f"model.options={SIZES}", f"data.path={pool}", "data.batch=2", "data.crop=64", "run.minutes=0",
            "run.steps=4", "run.precision=32-true", "schedule.warmup=2", "run.threads=1",
        ],
        "variants": [
            {"name": "baseline"},
            {"name": "richer", "overrides": ["data.join_captions=true"], "captions": "several"},
        ],
        "measure": {
            "sets": [{"source": str(image_folder / "list.jsonl"), "captions": {"short": "own", "several": "joined"}}],
            "qualities": [20, 50, 80],
            "metrics": ["psnr", "lpips-alex"],
            "precision": "fp32",
        },
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


@pytest.mark.slow
def test_an_ablation_from_one_configuration(
    ablation_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command = ["study", str(ablation_config), "-o", str(out)]
    assert cli.main(command) == 0
    assert capfd.readouterr().out.strip() == str(out / "report.md")
    result = json.loads((out / "study.json").read_text())
    assert result["command"].startswith("tacit study")
    assert [(r["variant"], r["seed"]) for r in result["runs"]] == [
        ("baseline", 0), ("richer", 0), ("baseline", 1), ("richer", 1),
    ]  # fmt: skip
    assert len({r["weights"] for r in result["runs"]}) == 4
    assert result["start"] is None
    found = result["sets"]["list"]
    assert found["images"] == 6
    assert [p["quality"] for p in found["points"]["richer"]] == [20, 50, 80]
    for points in found["points"].values():
        for point in points:
            assert len(point["bpp"]) == len(point["metrics"]["psnr"]) == 2
            assert all(seconds > 0 for seconds in point["encode_seconds"])
    assert len(found["rate_percent"]["psnr"]["richer"]) == 2
    assert len(found["between_seeds"]["psnr"]) == 2
    over = found["over_images"]["psnr"]["richer"]
    assert len(over["values"]) + len(over["left_out"]) == 6
    assert "lpips-alex" in result["skipped"]
    assert "baseline, one seed against another" in (out / "report.md").read_text()
    assert {p.name for p in (out / "plots").iterdir()} == {"list-differences.svg", "list-psnr.svg"}
    # the joined captions were what the encoder was told
    evaluated = json.loads((out / "measured" / "list-several" / "results.json").read_text())
    assert evaluated["datasets"][0]["images"][0]["caption"] == "a red boat. a red boat in the sun."

    # what is there is not done again, and another variant can be added
    from tacit.training import run

    trained: list[str] = []
    train = run.train

    def watched(config: Any, **options: Any) -> Path:
        trained.append(Path(config.run.out).name)
        return train(config, **options)

    monkeypatch.setattr(run, "train", watched)
    before = {p: p.stat().st_mtime_ns for p in (out / "weights").iterdir()}
    content = json.loads(ablation_config.read_text())
    content["variants"].append({"name": "none", "overrides": ["data.caption_dropout=1.0"], "codec": ""})
    ablation_config.write_text(json.dumps(content))
    assert cli.main([*command, "seeds=[0]", "--quiet"]) == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert set(json.loads((out / "study.json").read_text())["sets"]["list"]["points"]) == {"baseline", "richer", "none"}
    # but other settings are not mixed with these
    assert cli.main([*command, "variants=[{name: baseline, overrides: [data.join_captions=true]}]"]) == 2
    assert "other settings of baseline" in capfd.readouterr().err


def test_a_failing_variant_is_named(ablation_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["study", str(ablation_config), "-o", str(tmp_path / "out")]
    assert cli.main([*command, "variants=[{name: odd, overrides: [data.kind=tape]}]"]) == 2
    assert "odd-seed0: data.kind must be one of " in capfd.readouterr().err
    assert cli.main([*command, "variants=[{name: a, captions: sung}]"]) == 2
    assert "list has no captions of the kind sung" in capfd.readouterr().err


@pytest.mark.slow
def test_variants_train_at_a_time(
    ablation_config: Path,
    tiny_weights: Path,
    tmp_path: Path,
    progress: RecordingProgress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    def evaluate_here(options: EvalOptions, progress: EvalProgress) -> Results:
        """Measure in this process: that others can measure is not what is tested."""
        return evaluate(dataclasses.replace(options, jobs=1), progress)

    monkeypatch.setattr(ablation_study, "evaluate", evaluate_here)
    # Processes of their own as for users, but of a server that has imported Lightning once for both.
    server = process_server()
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: server)
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path / "elsewhere"))
    overrides = ["seeds=[0]", f"start={tiny_weights}", "shared=" + json.dumps(_shared(ablation_config))]
    config = configurations.read(str(ablation_config), overrides)
    assert isinstance(config, AblationConfig)
    found = run_ablation(config, tmp_path / "out", progress, jobs=2)
    result = summary.of_ablation(found, "tacit study", 1)
    digest = hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    assert result["start"] == {"file": tiny_weights.name, "sha256": digest}
    assert digest in "\n".join(report.provenance(result))
    assert "${TACIT_WEIGHTS}" in result["skipped"]["lpips-alex"]
    assert str(tmp_path / "elsewhere") not in json.dumps(result)
    assert [run.variant for run in found.runs] == ["baseline", "richer"]
    assert all(run.weights.is_file() for run in found.runs)


def _shared(path: Path) -> Any:
    return json.loads(path.read_text())["shared"]
