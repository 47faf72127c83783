"""The help texts."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tacit import cli
from tacit.cli.group import COMMANDS

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("name", ["encode", "decode", "info"])
def test_help_has_examples(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert cli.main([name, "--help"]) == 0
    assert "Examples:\n    tacit " in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from tacit.cli import main; main(['--help']); main(['encode', '--help'])\n"
        "assert not {'torch', 'numpy', 'PIL', 'tqdm'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_a_command_imports_no_other() -> None:
    script = (
        "import sys; from tacit.cli import main; main(['info', '--help'])\n"
        "assert not {'tacit.cli.encode', 'tacit.cli.serve'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_each_module_has_the_commands_that_are_said_of_it() -> None:
    context = click.Context(cli.command)
    for name, module in COMMANDS.items():
        found = cli.command.get_command(context, name)
        assert found is not None
        assert found.callback.__module__ == f"tacit.cli.{module}"
    assert cli.command.commands.keys() == COMMANDS.keys()


def test_an_unknown_command_is_told_which_one_is_like_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decodee"]) == 2
    assert "decode" in capsys.readouterr().err.replace("decodee", "")
