"""Install wheels and source distributions in clean environments, and try them there.

    python scripts/smoke.py dist/*
    python scripts/smoke.py dist/*.whl --python python3.11 python3.12 python3.13

For each file and each Python, a new virtual environment gets the file and what it needs, from the package index. There,
in an empty folder, an image is encoded and decoded by the library, by the command line and by the Pillow plugin. What a
wheel has, and how large the files are, is checked first. `make dist` runs this.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

LIMIT = 65  # MB of a file
CODE = """
import subprocess, sys
from pathlib import Path
from PIL import Image
import tacit, tacit.pillow

assert Path(tacit.__file__).is_relative_to(sys.prefix), tacit.__file__
red = Image.radial_gradient("L").resize((320, 200))
image = Image.merge("RGB", [red, red.rotate(180), Image.linear_gradient("L").resize((320, 200))])
image.save("photo.png")

data = tacit.encode("photo.png", "a red ball", quality=40)
assert len(data) < 20_000, len(data)
assert tacit.decode(data).size == image.size
about = tacit.info(data)
assert (about.width, about.height) == image.size

image.save("by_pillow.tacit", quality=40)
with Image.open("by_pillow.tacit") as opened:
    assert opened.format == "TACIT", opened.format
    opened.load()

def run(*arguments):
    folder = Path(sys.executable).parent  # where the command is
    done = subprocess.run([str(folder / "tacit"), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout

assert run("--version") == f"tacit {tacit.__version__}\\n"
run("encode", "photo.png", "-c", "a red ball", "-q", "40")
assert "320" in run("info", "photo.tacit")
run("decode", "photo.tacit", "-o", "decoded.png")
with Image.open("decoded.png") as decoded:
    assert decoded.size == image.size
assert "tacit-s-mse" in run("models")
run("install-desktop", "--help")
assert "torch" not in sys.modules
print(f"tacit {tacit.__version__} on Python {sys.version.split()[0]}: {len(data)} bytes")
"""


def main() -> int:
    """Try each file with each Python, and return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="wheels and source distributions")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="the Pythons to try them with")
    arguments = parser.parse_args()
    failed = False
    for file in arguments.files:
        found = problems(file)
        for problem in found:
            print(f"{file.name}: {problem}")
        failed |= bool(found)
        for python in arguments.python:
            if not tried(file.resolve(), python):
                print(f"{file.name}: failed with {python}")
                failed = True
    return int(failed)


def problems(file: Path) -> list[str]:
    """Return what is wrong with the size and the contents of a wheel or source distribution."""
    size = file.stat().st_size / 1e6
    found = [] if size <= LIMIT else [f"must have {LIMIT} MB or less, got {size:.1f}"]
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            names = wheel.namelist()
            found += strangers(names)
            for name in names:
                if name.endswith(".dist-info/METADATA"):
                    found += relative_links(wheel.read(name).decode())
    else:
        with tarfile.open(file) as source:
            names = [name.partition("/")[2] for name in source.getnames()]
        found += [
            f"{name} is missing" for name in ("LICENSE", "README.md", "src/tacit/__init__.py") if name not in names
        ]
        found += [f"{name} must not be in it" for name in names if name.startswith("runs/") or "node_modules" in name]
    return found


def strangers(names: Iterable[str]) -> list[str]:
    """Return what is wrong with the names of the files in a wheel: a package and its metadata, and nothing else."""
    names = list(names)
    found = [
        f"{name} must not be in it"
        for name in names
        if not name.startswith("tacit/") and ".dist-info/" not in name and ".data/data/share/man/" not in name
    ]
    found += [f"{name} must not be in it" for name in names if name.endswith((".pyc", ".ckpt", ".tacit"))]
    needed = ("tacit/py.typed", "tacit/weights/tacit-s.safetensors", "tacit/weights/tacit-s-mse.safetensors")
    return found + [f"{name} is missing" for name in needed if name not in names]


def relative_links(metadata: str) -> list[str]:
    """Return what is wrong with the links and images of the long description: on PyPI, none leads from the page."""
    targets = re.findall(r"\]\(([^)\s]*)|(?:src|href)=[\"']([^\"']*)", metadata)
    return [
        f"the long description's links must be addresses, got {target}"
        for target in map("".join, targets)
        if not re.match(r"https?://|mailto:", target)
    ]


def tried(file: Path, python: str) -> bool:
    """Return whether a file can be installed with a Python and works there; what it prints is shown."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        if subprocess.run([python, "-m", "venv", str(environment)], check=False).returncode:
            return False
        own = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        install = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(file)]
        empty = Path(folder, "empty")
        empty.mkdir()
        return all(
            subprocess.run(command, cwd=empty, check=False).returncode == 0
            for command in (install, [str(own), "-m", "pip", "check"], [str(own), "-I", "-c", CODE])
        )


if __name__ == "__main__":
    sys.exit(main())
