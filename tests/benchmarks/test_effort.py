"""The summary of what levels of effort save, and the rows that it is made of."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import effort
from support.codec_files import Picture
from tacit.codec import Codec
from tacit.codec.refinement import SCHEDULES
from tacit.errors import InvalidInput


def row(
    image: str, level: int, quality: float, size: float, level_of_distortion: float, device: str = "CPU"
) -> dict[str, Any]:
    return {
        "weights": "aa",
        "image": image,
        "level": level,
        "quality": quality,
        "device": device,
        "steps": SCHEDULES[level].steps if level else 0,
        "seconds": 2.0,
        "processor_seconds": 1.0,
        "pixels": 500_000,
        "bytes": size,
        "psnr": -level_of_distortion,
        "ssimulacra2": -level_of_distortion,
        "distortion": {str(at): 10 ** (level_of_distortion / 10) for at in effort.REFINED},
        "threads": 1,
        "load": 0.5,
        "instructions": "AVX2",
    }


def rows_of(image: str, saving: float, device: str = "CPU") -> list[dict[str, Any]]:
    """Files of bytes 1000 exp(quality / 50) and distortion -quality / 10 dB; refined ones are smaller by `saving`."""
    plain = [row(image, 0, q, 1000 * math.exp(q / 50), -q / 10, device) for q in effort.CURVE]
    # at a refined file's distortion, which is less, level 0 takes as many bits more
    return plain + [
        row(image, 3, q, (1 - saving) * 1000 * math.exp((q + 5) / 50), -(q + 5) / 10, device) for q in effort.REFINED
    ]


def test_bits_are_compared_at_equal_quality() -> None:
    rows = [one for number in range(6) for one in rows_of(f"{number}.png", 0.04 + 0.01 * (number % 2))]
    summary = effort.summarise(rows)
    (level,) = summary["levels"]
    assert (level["level"], level["images"], level["files"]) == (3, 6, 18)
    assert level["qualities"] == [25, 50, 75]
    for measure in effort.MEASURES:
        assert level[measure]["percent"] == pytest.approx(-4.5, abs=0.02)
        low, high = level[measure]["interval"]
        assert -5.5 < low < -4.5 < high < -3.5
    assert level["device"] == "CPU"
    assert level["seconds"] == {"CPU": {"seconds_per_megapixel": 4, "processor_seconds_per_megapixel": 2}}
    assert "same_files" not in level


def test_other_weights_and_schedules_are_left_out() -> None:
    other = [{**one, "weights": "bb"} for one in rows_of("a.png", 0.5)]
    former = [{**one, "steps": 999} for one in rows_of("a.png", 0.5) if one["level"]]
    (level,) = effort.summarise([*other, *former, *rows_of("a.png", 0.04)])["levels"]
    assert level["files"] == 3
    assert level["psnr"] == {"percent": pytest.approx(-4, abs=0.02), "interval": None, "images": 1}


def test_the_device_with_the_most_files_counts() -> None:
    rows = [one for number in range(6) for one in rows_of(f"{number}.png", 0.04, "a GPU")]
    for one in rows:
        del one["processor_seconds"]
    rows += rows_of("0.png", 0.10)
    (level,) = effort.summarise(rows)["levels"]
    assert (level["device"], level["images"]) == ("a GPU", 6)
    assert level["psnr"]["percent"] == pytest.approx(-4, abs=0.02)
    assert level["seconds"]["a GPU"] == {"seconds_per_megapixel": 4}
    same = level["same_files"]
    assert {device: found["files"] for device, found in same.items()} == {"a GPU": 3, "CPU": 3}
    assert same["CPU"]["psnr"]["percent"] == pytest.approx(-10, abs=0.02)
    assert level["files_of_others"] == 0
    lacking = [one for one in rows if (one["image"], one["level"], one["device"]) != ("0.png", 3, "a GPU")]
    (level,) = effort.summarise(lacking)["levels"]
    assert (level["device"], level["images"], level["files_of_others"]) == ("a GPU", 6, 3)
    assert level["psnr"]["percent"] == pytest.approx(-5, abs=0.02)
    assert same["a GPU"]["psnr"]["percent"] == pytest.approx(-4, abs=0.02)


def test_the_highest_level_is_compared_with_other_codecs() -> None:
    def at(quality: float, part: float) -> dict[str, Any]:
        return {
            "bpp": part * 8 * 1000 * math.exp(quality / 50) / 500_000,
            "metrics": {"psnr": quality / 10, "ssimulacra2": quality / 10},
        }

    curves = {"avif": [at(q, 1.25) for q in effort.CURVE], "jxl": [at(q, 0.8) for q in effort.CURVE]}
    results = {
        "command": "tacit eval",
        "datasets": [{"name": "Kodak", "images": [{"name": "a.png"}, {"name": "b.png"}]}],
        "curves": {"Kodak": curves},
    }
    rows = [
        row(image, level, q, part * 1000 * math.exp(q / 50), -q / 10)
        for level, part in ((0, 1.1), (3, 1))
        for image in ("a.png", "b.png")
        for q in effort.AGAINST
    ]
    found = effort.against(rows, results)
    assert found is not None
    assert found["level"] == 3
    assert found["percent"]["avif"] == {
        "psnr": pytest.approx(-20, abs=0.01),
        "ssimulacra2": pytest.approx(-20, abs=0.01),
    }
    assert found["percent"]["jxl"]["psnr"] == pytest.approx(25, abs=0.01)
    assert found["percent_of_level_0"]["avif"]["psnr"] == pytest.approx(-12, abs=0.01)
    assert effort.against(rows[:-1], results) is None  # an image lacks a quality
    assert effort.against(rows[1:], results) is None  # or it does at level 0


def test_what_the_curve_does_not_reach_is_left_out() -> None:
    rows = rows_of("a.png", 0.04)
    rows[-1]["psnr"] = 99.0
    (level,) = effort.summarise(rows)["levels"]
    assert level["psnr"]["percent"] == pytest.approx(-4, abs=0.02)
    for one in rows:
        one["ssimulacra2"] = 50.0
    assert effort.summarise(rows)["levels"][0]["ssimulacra2"]["percent"] is None
    with pytest.raises(InvalidInput, match="no rows"):
        effort.summarise([])


@pytest.mark.slow
def test_an_interrupted_run_continues(
    codec: Codec, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ssimulacra2")
    monkeypatch.setattr(effort, "CURVE", (0, 25, 75))
    monkeypatch.setattr(effort, "REFINED", (25,))
    path, source = tmp_path / "rows.jsonl", tmp_path / "a.png"
    picture(64, 48).save(source)
    bench = effort.Bench(codec, path, [])
    bench.measure(source, 0, effort.CURVE)
    bench.measure(source, 1, effort.REFINED)
    text = path.read_text()
    with path.open("a") as file:
        file.write('{"cut": ')  # as by an end in the middle of a line
    rows = effort.read_rows(path)
    assert [json.loads(line) for line in text.splitlines()] == rows
    assert len(rows) == 4
    again = effort.Bench(codec, path, rows)
    again.measure(source, 1, effort.REFINED)
    assert len(rows) == 4
    again.measure(source, 2, effort.REFINED)
    assert effort.read_rows(path) == rows
    assert [level["files"] for level in effort.summarise(rows)["levels"]] == [1, 1]


@pytest.mark.slow
def test_files_that_were_made_elsewhere_are_measured(
    codec: Codec, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ssimulacra2")
    monkeypatch.setattr(effort, "CURVE", (0, 25, 75))
    monkeypatch.setattr(effort, "REFINED", (25,))
    sources = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"]
    for source, size in zip(sources, ((64, 48), (64, 48), (48, 64)), strict=True):
        picture(*size).save(source)
    effort.make(codec, sources, ["0:0,25,75", "1:25"], tmp_path / "made")
    rows: list[effort.Row] = []
    bench = effort.Bench(codec, tmp_path / "rows.jsonl", rows)
    bench.measure_files(tmp_path / "made", sources)
    assert len(rows) == 12
    assert {(row["image"], row["together"]) for row in rows} == {("a.png", 2), ("b.png", 2), ("c.png", 1)}
    bench.measure_files(tmp_path / "made", sources)
    assert effort.read_rows(tmp_path / "rows.jsonl") == rows
    assert len(rows) == 12
    (level,) = effort.summarise(rows)["levels"]
    assert level["files"] == 3
