"""The decoder for browsers: its own tests, in Node.js and in Chromium. `make lint` checks its types."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

JS = Path(__file__).resolve().parents[2] / "js"


def run(*command: str) -> str:
    """Run a command in js/, and return what it prints."""
    done = subprocess.run(command, cwd=JS, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.browser
def test_the_decoder_for_browsers_passes_its_own_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if shutil.which("npm") is None or chromium is None:
        pytest.skip("needs npm and Chromium")
    if not (JS / "node_modules").is_dir():
        installed = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=JS, capture_output=True, text=True, timeout=300, check=False
        )
        if installed.returncode:
            pytest.skip(f"npm cannot install the packages: {installed.stderr[-300:]}")
    monkeypatch.setenv("CHROMIUM", chromium)
    run("node", "build.mjs")  # without the declarations of types
    assert "# fail 0" in run("npm", "test")
