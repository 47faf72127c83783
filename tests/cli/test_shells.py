"""What shells get: completion, and manual pages."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT
from tacit import cli

needs_the_repository = pytest.mark.skipif(not (ROOT / "scripts" / "man.py").is_file(), reason="not in the repository")


@needs_the_repository
def test_the_manual_pages_are_current() -> None:
    made = importlib.import_module("scripts.man").pages()
    found = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "man").glob("*.1")}
    assert set(made) == {"tacit.1", *(f"tacit-{name}.1" for name in cli.group.COMMANDS)}
    assert found == made, "run make man"


@needs_the_repository
@pytest.mark.parametrize("name", ["tacit", "tacit-encode"])
def test_man_renders_a_page_without_a_warning(name: str) -> None:
    if shutil.which("man") is None or shutil.which("groff") is None:
        pytest.skip("no man here")
    command = ["man", "--warnings", "-E", "UTF-8", "-l", str(ROOT / "man" / f"{name}.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "MANPAGER": "cat"})
    assert done.stderr == ""
    assert "SYNOPSIS" in done.stdout
    assert ("tacit-bulk(1)" if name == "tacit" else "--quality") in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    tacit = tmp_path / "tacit"
    tacit.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tacit "$@"\n')
    tacit.chmod(0o755)
    script = """set -e
eval "$(_TACIT_COMPLETE=bash_source tacit)"
complete -p tacit
COMP_WORDS=(tacit enc); COMP_CWORD=1; _tacit_completion tacit; echo "${COMPREPLY[@]}"
COMP_WORDS=(tacit encode --qua); COMP_CWORD=2; _tacit_completion tacit; echo "${COMPREPLY[@]}"
"""
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["encode", "encode --quality"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_a_success(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TACIT_COMPLETE", f"{shell}_source")
    assert cli.main([]) == 0
    assert "_TACIT_COMPLETE" in capsys.readouterr().out
