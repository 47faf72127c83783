"""The help texts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tacit import cli

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
