"""Ask the package index whether the dependencies have wheels for each system and Python, and write the table of them.

    python scripts/wheels.py            # checks docs/platforms.md and prints what changed
    python scripts/wheels.py --write    # writes the table into docs/platforms.md

Each package of each extra is asked for as pip on that system would ask, in the version that the constraints of
`pyproject.toml` allow, without building anything: what has no wheel there would have to be compiled. Only direct
dependencies are asked for. pip answers from the index that this machine uses.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "platforms.md"
BEGIN, END = "<!-- wheels: made by scripts/wheels.py -->\n", "<!-- end -->"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS: Mapping[str, tuple[str, ...]] = {
    "Linux x86-64": (*tuple(f"manylinux_2_{n}_x86_64" for n in (17, 24, 26, 27, 28)), "manylinux2014_x86_64"),
    "Linux aarch64": (*tuple(f"manylinux_2_{n}_aarch64" for n in (17, 24, 26, 27, 28)), "manylinux2014_aarch64"),
    "macOS arm64": tuple(f"macosx_{n}_0_arm64" for n in (11, 12, 13, 14)),
    "macOS x86-64": (
        *(f"macosx_10_{n}_x86_64" for n in (9, 12, 13, 15)),
        *(f"macosx_{n}_0_x86_64" for n in (11, 12, 13, 14)),
    ),
    "Windows x86-64": ("win_amd64",),
}
EXTRAS = ("torch", "train", "eval", "anchors", "bulk", "web", "find", "ner", "words", "clip", "demo")


def main() -> int:
    """Ask for every package, and write or compare the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into docs/platforms.md")
    arguments = parser.parse_args()
    wanted = requirements(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])
    cells = [(extra, platform, python) for extra in wanted for platform in PLATFORMS for python in PYTHONS]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(cells, pool.map(lambda cell: missing(wanted[cell[0]], *cell[1:]), cells), strict=True))
    made = table(wanted, found)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    if arguments.write:
        PAGE.write_text(before + BEGIN + made + END + after, encoding="utf-8", newline="\n")
        return 0
    print(made, end="")
    if old != made:
        print("docs/platforms.md has another table: python scripts/wheels.py --write", file=sys.stderr)
    return int(old != made)


def requirements(project: Mapping[str, object]) -> dict[str, list[str]]:
    """Return what the core and each extra ask for, without what they ask of tacit's own extras."""
    extras = project["optional-dependencies"]
    core = project["dependencies"]
    assert isinstance(extras, dict)
    assert isinstance(core, list)
    wanted = {"core": core} | {name: extras[name] for name in EXTRAS}
    return {name: [r for r in asked if not r.startswith("tacit[")] for name, asked in wanted.items()}


def missing(asked: Sequence[str], platform: str, python: str) -> list[str]:
    """Return which of some requirements have no wheel for a system and a Python."""
    if have_wheels(asked, platform, python):  # one question for all of them, in most cases
        return []
    return [requirement for requirement in asked if not have_wheels([requirement], platform, python)]


def have_wheels(asked: Sequence[str], platform: str, python: str) -> bool:
    """Return whether the index has wheels of all requirements for a system and a Python; nothing is downloaded."""
    systems = [argument for tag in (*PLATFORMS[platform], "any") for argument in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--dry-run"]
    command += ["--no-deps", "--ignore-installed", "--target", "nowhere", "--only-binary=:all:", *systems]
    command += ["--python-version", python, "--implementation", "cp", *(re.sub(r"\[.*?\]", "", r) for r in asked)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def table(wanted: Iterable[str], found: Mapping[tuple[str, str, str], Sequence[str]]) -> str:
    """Return the table: a row for each extra, a column for each system, in a cell the Pythons and what is missing."""
    rows = [f"| | {' | '.join(PLATFORMS)} |", f"|---|{'---|' * len(PLATFORMS)}"]
    for extra in wanted:
        cells = []
        for platform in PLATFORMS:
            there = [python for python in PYTHONS if not found[extra, platform, python]]
            lacking = {re.split(r"[\[<>=]", r)[0] for python in PYTHONS for r in found[extra, platform, python]}
            cells.append(", ".join(there) or "none")
            if lacking:
                cells[-1] += f"; otherwise no {', '.join(sorted(lacking))}"
        rows.append(f"| {extra} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main())
