"""Test the core where nothing else is installed, and measure what it takes on disk.

    python scripts/core.py FOLDER

makes a virtual environment in FOLDER, installs the package there without extras, and checks that torch is not there and
that all packages together take no more than LIMIT. Then it adds the extras that need no torch, and runs the tests of
the core (`tests/project/test_core.py`). Versions are those of constraints.txt. `make core` runs this.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT = 250  # MB, of the core and all that it brings
EXTRAS = "bulk,demo,web"  # which need no torch
TESTS = ("tests/project/test_core.py",)
LARGEST = 8  # packages that are named


def main() -> None:
    """Make the environment, measure it and run the tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    # Without pip, so that only what the core needs is there: this Python's own pip installs into it.
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install(python, ".")
    packages = Path(capture(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    sizes = {path.name: size(path) for path in packages.iterdir()}
    total = sum(sizes.values())
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:LARGEST]:
        print(f"{sizes[name] / 1e6:8.1f} MB  {name}")
    print(f"{total / 1e6:8.1f} MB  in all, of {LIMIT}")
    if (packages / "torch").exists():
        sys.exit("the core must not bring torch")
    if total > LIMIT * 1e6:
        sys.exit(f"the core must take {LIMIT} MB or less, got {total / 1e6:.1f}")
    install(python, f".[{EXTRAS}]", "pytest")
    if (packages / "torch").exists():
        sys.exit(f"the extras {EXTRAS} must not bring torch")
    # The fixtures that other tests share need torch.
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [str(python), "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", *TESTS]
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


def install(python: Path, *what: str) -> None:
    """Install packages into the environment of a Python."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", "constraints.txt", *what], cwd=ROOT, check=True)


def capture(python: Path, code: str) -> str:
    """Return what a line of Python prints."""
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def size(path: Path) -> int:
    """Return the bytes of a file or a folder, as installed: without the bytecode that Python makes of it."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main()
