"""The Dockerfile and the compose file, as far as they can be checked without Docker."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT
from tacit import cli
from tacit.web.app import create_app
from tacit.web.settings import ServiceSettings

yaml = pytest.importorskip("yaml", reason="needs PyYAML, which the extra train brings")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions and their arguments, stage by stage."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    stages: list[list[tuple[str, str]]] = []
    for line in filter(str.strip, lines):
        name, _, argument = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, argument.strip()))
    return stages


def of(stage: list[tuple[str, str]], name: str) -> list[str]:
    return [argument for instruction, argument in stage if instruction == name]


def test_every_file_that_is_copied_is_there_and_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines  # all else stays out: data, results, keys
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = [argument.split() for stage in stages() for argument in of(stage, "COPY")]
    sources = {source for words in copied if not words[0].startswith("--from") for source in words[:-1]}
    assert all((ROOT / source).exists() for source in sources)
    assert sources == sent
    # what building the package reads
    assert {"README.md", "hatch_build.py", "pyproject.toml", "src"} <= sources
    assert {name for name in PROJECT.get("license-files", ["LICENSE"]) if "*" not in name} <= sources


def test_stages_are_copied_from_where_things_were_put() -> None:
    first, last = stages()
    names = {argument.split(" AS ")[1] for argument in of(first, "FROM")}
    bases = {argument.split(" AS ")[0] for stage in (first, last) for argument in of(stage, "FROM")}
    (base,) = bases  # a virtual environment is for the interpreter that has made it
    assert re.fullmatch(r"python:3\.\d+-slim", base)
    (copied,) = of(last, "COPY")
    origin, source, target = copied.split()
    assert origin.removeprefix("--from=") in names
    assert source == target  # a virtual environment knows its own path
    assert f"python -m venv --without-pip {source}" in of(first, "RUN")
    (paths,) = (argument for argument in of(last, "ENV") if "PATH=" in argument)
    assert f"PATH={source}/bin:$PATH" in paths.split()


def test_what_is_installed_is_pinned_and_exists() -> None:
    first, _ = stages()
    (package,) = (run for run in of(first, "RUN") if "python -m pip" in run)
    assert "--constraint constraints.txt" in package
    assert '".[$EXTRAS]"' in package
    (extras,) = of(first, "ARG")
    assert set(extras.removeprefix("EXTRAS=").split(",")) <= PROJECT["optional-dependencies"].keys()


def test_it_runs_without_root_and_is_looked_after(tiny_weights: Path) -> None:
    last = stages()[-1]
    names = [name for name, _ in last]
    (user,) = of(last, "USER")
    assert int(user) >= 1000  # a number, so that orchestrators can tell that it is not root
    assert f"--uid {user}" in " ".join(of(last, "RUN"))
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("COPY", "RUN"))
    (stop,) = of(last, "STOPSIGNAL")
    assert stop == "SIGTERM"
    (check,) = of(last, "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    compile(command[-1], "healthcheck", "exec")
    url = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", command[-1])
    assert url is not None
    assert [url[1]] == of(last, "EXPOSE")
    app = create_app(ServiceSettings(model=str(tiny_weights), workers=1))
    assert url[2] in app.openapi()["paths"]


def started(arguments: list[str]) -> dict[str, Any]:
    """Return the options that `tacit serve` is started with."""
    assert arguments[0] == "serve"
    options: dict[str, Any] = cli.command.get_command(None, "serve").make_context("serve", arguments[1:]).params  # type: ignore[arg-type, union-attr]
    return options


def test_the_commands_are_those_of_the_package() -> None:
    last = stages()[-1]
    (entry,), (command,) = of(last, "ENTRYPOINT"), of(last, "CMD")
    assert json.loads(entry)[0] in PROJECT["scripts"]
    options = started(json.loads(command))
    assert (options["host"], str(options["port"])) == ("0.0.0.0", of(last, "EXPOSE")[0])


def test_the_compose_file_gives_it_little() -> None:
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    (exposed,) = of(stages()[-1], "EXPOSE")
    assert service["ports"] == [f"127.0.0.1:8000:{exposed}"]  # this machine alone
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert (ROOT / service["build"] / "Dockerfile").exists()
    # what a worker takes at most, by docs/web.md, and room for the server
    command = [re.sub(r"\$\{\w+:-(\w*)\}", r"\1", word) for word in service["command"]]
    options = started(command)
    assert str(options["port"]) == exposed
    assert int(service["mem_limit"].removesuffix("g")) >= 1 + options["workers"]
    assert int(service["stop_grace_period"].removesuffix("s")) > ServiceSettings().shutdown_time
