"""`tacit bulk`: its options, and what it reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from support.bulk_runner import Runner, write_files
from support.shards import photo, sample, write_tar
from tacit import cli

pytest.importorskip("fsspec")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in", "out", "--decode", "-q", "3"], "--decode must not be used together with"),
        (["in", "out", "--decode", "-e", "1"], "--decode must not be used together with"),
        (["in", "out", "--decode", "--keep", "a dog=30dB"], "--decode must not be used together with"),
        (["in", "out", "--keep", "a dog"], "must end in =NUMBERdB"),
        (["in", "out", "--best-effort"], "--best-effort must be used together with"),
        (["in", "out", "-e", "10"], "10 is not in the range 0<=x<=9"),
        (["in", "out", "--decode", "--verify"], "verify must be off when decoding"),
        (["in", "out", "--format", "png"], "--format must be used together with --decode"),
        (["in", "out", "--decode", "--format", "gif"], "--format must be one of"),
        (["in", "out", "--no-caption", "--store-caption"], "--no-caption"),
        (["in", "out", "-j", "4-2"], "must be a number of workers"),
        (["in", "out", "--max-failures", "101"], "101"),
        (["in", "out", "-m", "unknown"], "unknown"),
        (["in", "in/below"], "in each other"),
        (["in/../in", "in"], "in each other"),
        (["in/1.png", "in"], "in each other"),
        (["*/*.png", "out"], "in each other"),
        (["shards", "out", "--captions", "map.csv"], "a caption map needs images in files"),
        (["in"], "DEST"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(Path("in"), {"1.png": photo(0)})
    write_tar(Path("shards/0.tar"), sample("0", 0))
    Path("map.csv").write_text("1.png,waves\n")
    done = CliRunner().invoke(cli.command, ["bulk", *arguments])
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())
    assert not Path("out").exists()


@pytest.mark.usefixtures("without_ray")
def test_the_command_says_what_came_of_it(runner: Runner, tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "0.tar", {**sample("0", 0), **sample("1", 1)})
    write_files(tmp_path / "in", {"1.tar": b"nonsense"})
    command = ["bulk", str(tmp_path / "in"), str(tmp_path / "out"), "-m", str(runner.weights)]
    done = CliRunner().invoke(cli.command, [*command, "--max-failures", "60"], standalone_mode=False)
    assert done.return_value == 1
    assert "tacit: 1: not a whole tar file" in done.stderr
    assert "2 files (tar)" in done.stderr
    assert "1 shard, 2 images (2 with captions)" in done.stdout
    write_tar(tmp_path / "in" / "1.tar", {"3.png": b"bad"})
    done = CliRunner().invoke(cli.command, [*command, "--max-failures", "40", "--json"], standalone_mode=False)
    assert done.return_value == 0
    about = json.loads(done.stdout)
    assert (about["now"]["failed"], about["all"]["images"], about["left"]) == (1, 2, 0)
    done = CliRunner().invoke(cli.command, command, standalone_mode=False)
    assert done.return_value == 1, "a rate above the limit is told by each run"
    assert "tacit: 1 of 3 images cannot be used (33.33%); --max-failures allows 5%" in done.stderr
    assert "stopped" not in done.stderr
    assert "2 shards done already, nothing to do" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("without_ray")
def test_an_effort_refines_each_image(runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"1.png": photo(0), "2.png": photo(1)})
    command = ["bulk", str(tmp_path / "in"), "-m", str(runner.weights), "--no-caption"]
    for name, more in (("plain", []), ("refined", ["-e", "1", "--verify"])):
        done = CliRunner().invoke(cli.command, [*command, str(tmp_path / name), *more], standalone_mode=False)
        assert done.return_value == 0, done.output
    for name in ("1.tacit", "2.tacit"):
        assert (tmp_path / "refined" / name).read_bytes() != (tmp_path / "plain" / name).read_bytes()
    done = CliRunner().invoke(cli.command, [*command, str(tmp_path / "refined")])
    assert done.exit_code == 2
    assert "other settings (effort was 1 and is None)" in " ".join(done.output.split())


@pytest.mark.slow
@pytest.mark.usefixtures("without_ray")
def test_what_is_named_is_kept_in_each_image(runner: Runner, tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"1.png": photo(0), "2.png": photo(1)})
    command = ["bulk", str(tmp_path / "in"), "-m", str(runner.weights), "--no-caption", "-q", "0"]
    keep = ["--keep-box", "2,2,12,12=0.1dB", "--keep-box", "0,0,9000,12=0.1dB"]

    def run(name: str, *more: str) -> dict[str, Any]:
        arguments = [*command, str(tmp_path / name), "--max-failures", "100", "--json", *more]
        done = CliRunner().invoke(cli.command, arguments, standalone_mode=False)
        assert done.return_value == 0, done.output
        counts: dict[str, Any] = json.loads(done.stdout)["now"]
        return counts

    assert run("plain")["images"] == 2
    kept = run("kept", *keep[:2], "--verify")
    assert (kept["images"], kept["verified"], kept["failed"]) == (2, 2, 0)
    assert run("outside", *keep)["failed"] == 2
    assert run("high", "--keep-box", "2,2,12,12=55dB")["failed"] == 2
    near = run("near", "--keep-box", "2,2,12,12=55dB", "--best-effort")
    assert near["images"] == near["warnings"]["something that was to be kept is not"] == 2
    plain, kept_file, near_file = (tmp_path / name / "1.tacit" for name in ("plain", "kept", "near"))
    assert plain.read_bytes() == kept_file.read_bytes() != near_file.read_bytes()
    done = CliRunner().invoke(cli.command, [*command, str(tmp_path / "kept")])
    assert "other settings" in " ".join(done.output.split())


@pytest.mark.usefixtures("without_ray")
def test_the_command_says_when_it_stopped(runner: Runner, tmp_path: Path) -> None:
    for name in "012":
        write_tar(tmp_path / "in" / f"{name}.tar", {f"{n}.png": b"bad" for n in range(100)})
    command = ["bulk", str(tmp_path / "in"), str(tmp_path / "out"), "-m", str(runner.weights)]
    done = CliRunner().invoke(cli.command, command, standalone_mode=False)
    assert done.return_value == 1
    assert "tacit: stopped, 2 shards left: 100 of 100 images cannot be used (100.00%)" in done.stderr
    assert "failed     100 images (100.00%), see " in done.stdout
