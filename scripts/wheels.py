"""Ask the package index whether the dependencies have wheels for each system and Python, and write the table of them.

    python scripts/wheels.py            # checks docs/platforms.md and prints what changed
    python scripts/wheels.py --write    # writes the table into docs/platforms.md

The index is asked once for the files of each package that the core or an extra asks for. A system and a Python have a
package if pip would take one of its wheels there, in a version that `pyproject.toml` allows; otherwise it would have to
be compiled, if the index has its source. Only direct dependencies are asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "platforms.md"
BEGIN, END = "<!-- wheels: made by scripts/wheels.py -->\n", "<!-- end -->"
INDEX = "https://pypi.org/simple/"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
GLIBC, MACOS = 28, 14  # the minor version of glibc 2; macOS 14
EXTRAS = ("torch", "train", "eval", "anchors", "bulk", "web", "find", "ner", "words", "clip", "demo")


@dataclass(frozen=True)
class Platform:
    """A kind of system, as the rules of wheels and of requirements name it."""

    systems: tuple[str, ...]
    """The tags of the systems whose wheels pip takes there."""
    sys_platform: str
    platform_system: str
    platform_machine: str


def _manylinux(machine: str) -> tuple[str, ...]:
    glibcs = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    return (*glibcs, *(f"manylinux{name}_{machine}" for name in ("2014", "2010", "1")), f"linux_{machine}")


PLATFORMS: Mapping[str, Platform] = {
    "Linux x86-64": Platform(_manylinux("x86_64"), "linux", "Linux", "x86_64"),
    "Linux aarch64": Platform(_manylinux("aarch64"), "linux", "Linux", "aarch64"),
    "macOS arm64": Platform(tuple(mac_platforms((MACOS, 0), "arm64")), "darwin", "Darwin", "arm64"),
    "macOS x86-64": Platform(tuple(mac_platforms((MACOS, 0), "x86_64")), "darwin", "Darwin", "x86_64"),
    "Windows x86-64": Platform(("win_amd64",), "win32", "Windows", "AMD64"),
}


@dataclass(frozen=True)
class File:
    """What the index says about a file of a package."""

    name: str
    yanked: bool = False
    pythons: str = ""
    """The versions of Python that it is for."""


def main() -> int:
    """Ask for every package, and write or compare the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into docs/platforms.md")
    parser.add_argument("--index", default=INDEX, help="an index that answers in JSON (PEP 691)")
    arguments = parser.parse_args()
    wanted = requirements(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])
    names = sorted({requirement.name for asked in wanted.values() for requirement in asked})
    with ThreadPoolExecutor(8) as pool:
        files = dict(zip(names, pool.map(lambda name: ask(arguments.index, name), names), strict=True))
    made = table(wanted, files)
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


def requirements(project: Mapping[str, object]) -> dict[str, list[Requirement]]:
    """Return what the core asks for, and each extra beside it; what an extra has of another one is its own, too."""
    extras = project["optional-dependencies"]
    core = project["dependencies"]
    assert isinstance(extras, dict)
    assert isinstance(core, list)

    def expanded(asked: Iterable[str]) -> Iterator[Requirement]:
        for requirement in map(Requirement, asked):
            if requirement.name == project["name"]:
                for extra in sorted(requirement.extras):
                    yield from expanded(extras[extra])
            else:
                yield requirement

    return {"core": list(expanded(core))} | {name: list(expanded(extras[name])) for name in EXTRAS}


def ask(index: str, name: str) -> list[File]:
    """Return what the index says about the files of a package; an interrupted connection is tried again."""
    request = urllib.request.Request(f"{index}{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    for left in reversed(range(3)):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                files = json.load(answer)["files"]
            break
        except OSError as error:
            if not left or isinstance(error, urllib.error.HTTPError):
                raise
    return [File(f["filename"], bool(f.get("yanked")), f.get("requires-python") or "") for f in files]


@cache
def tags(platform: Platform, python: str) -> frozenset[Tag]:
    """Return the tags of the wheels that pip on a system and Python takes."""
    version = [int(number) for number in python.split(".")]
    own = cpython_tags(version, platforms=platform.systems)
    interpreter = "cp" + python.replace(".", "")
    return frozenset([*own, *compatible_tags(version, interpreter, platforms=platform.systems)])


def has_wheel(requirement: Requirement, files: Iterable[File], platform: Platform, python: str) -> bool:
    """Return whether one of a package's files is a wheel that a system and a Python can take, or none is asked for."""
    environment = {
        "sys_platform": platform.sys_platform,
        "platform_system": platform.platform_system,
        "platform_machine": platform.platform_machine,
        "python_version": python,
        "python_full_version": python + ".0",
    }
    if requirement.marker and not requirement.marker.evaluate(environment):
        return True
    for file in files:
        if file.yanked or not file.name.endswith(".whl"):
            continue
        try:
            _, version, _, offered = parse_wheel_filename(file.name)
        except InvalidWheelFilename:  # older than the rules, and pip takes none of them
            continue
        suits = requirement.specifier.contains(version, prereleases=False) and python + ".0" in SpecifierSet(
            file.pythons
        )
        if suits and offered & tags(platform, python):
            return True
    return False


def table(wanted: Mapping[str, Sequence[Requirement]], files: Mapping[str, Sequence[File]]) -> str:
    """Return the table: a row for each extra, a column for each system, in a cell the Pythons and what is missing."""
    rows = [f"| | {' | '.join(PLATFORMS)} |", f"|---|{'---|' * len(PLATFORMS)}"]
    for extra, asked in wanted.items():
        cells = [cell(asked, files, platform) for platform in PLATFORMS.values()]
        rows.append(f"| {f'`{extra}`' if extra in EXTRAS else extra} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def cell(asked: Sequence[Requirement], files: Mapping[str, Sequence[File]], platform: Platform) -> str:
    """Return for which Pythons a system has wheels of all that is asked for, and what the others lack."""
    missing = {
        python: {r.name for r in asked if not has_wheel(r, files[r.name], platform, python)} for python in PYTHONS
    }
    there = [python for python in PYTHONS if not missing[python]]
    lacking = ", ".join(sorted(set().union(*missing.values())))
    if not lacking:
        return f"{PYTHONS[0]} to {PYTHONS[-1]}"
    return f"{', '.join(there)}; for the others no {lacking}" if there else f"none: no {lacking}"


if __name__ == "__main__":
    sys.exit(main())
