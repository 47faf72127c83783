"""The table of the wheels of what tacit needs."""

from __future__ import annotations

import importlib
import tomllib
from types import ModuleType

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="not in the repository")
pytest.importorskip("packaging")


@pytest.fixture(scope="module")
def wheels() -> ModuleType:
    return importlib.import_module("scripts.wheels")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("a-1.2-py3-none-any.whl", {"Linux x86-64", "Linux aarch64", "macOS arm64", "macOS x86-64", "Windows x86-64"}),
        ("a-1.2-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", {"Linux x86-64"}),
        ("a-1.2-cp39-abi3-manylinux2014_aarch64.whl", {"Linux aarch64"}),
        ("a-1.2-cp312-cp312-manylinux_2_34_aarch64.whl", set()),  # needs a newer glibc
        ("a-1.2-cp312-cp312-macosx_11_0_universal2.whl", {"macOS arm64", "macOS x86-64"}),
        ("a-1.2-cp312-cp312-macosx_15_0_arm64.whl", set()),  # a newer macOS
        ("a-1.2-cp312-cp312-win_amd64.whl", {"Windows x86-64"}),
        ("a-1.2-cp313-cp313-win_amd64.whl", set()),  # another Python
        ("a-2.0-py3-none-any.whl", set()),  # not a version that is allowed
        ("a-1.3rc1-py3-none-any.whl", set()),  # pip takes these only when asked
        ("a-1.2.tar.gz", set()),
        ("a-1.2-old.name-py3-none-any.whl", set()),
    ],
)
def test_a_system_has_the_wheels_that_pip_takes_there(wheels: ModuleType, name: str, there: set[str]) -> None:
    asked = wheels.Requirement("a>=1,<2")
    found = {
        platform
        for platform, about in wheels.PLATFORMS.items()
        if wheels.has_wheel(asked, [wheels.File(name)], about, "3.12")
    }
    assert found == there


def test_yanked_files_and_those_of_other_pythons_do_not_count(wheels: ModuleType) -> None:
    asked, system = wheels.Requirement("a"), wheels.PLATFORMS["Linux x86-64"]
    name = "a-1-py3-none-any.whl"
    assert not wheels.has_wheel(asked, [wheels.File(name, yanked=True)], system, "3.11")
    assert not wheels.has_wheel(asked, [wheels.File(name, pythons=">=3.12")], system, "3.11")
    assert wheels.has_wheel(asked, [wheels.File(name, pythons=">=3.12")], system, "3.12")


def test_what_is_not_asked_for_on_a_system_is_not_missing_there(wheels: ModuleType) -> None:
    asked = wheels.Requirement("a; sys_platform == 'win32' and platform_machine == 'AMD64'")
    assert {name for name, system in wheels.PLATFORMS.items() if not wheels.has_wheel(asked, [], system, "3.11")} == {
        "Windows x86-64"
    }


def test_a_cell_says_which_pythons_have_all_and_what_the_others_lack(wheels: ModuleType) -> None:
    system = wheels.PLATFORMS["Windows x86-64"]
    asked = [wheels.Requirement("a"), wheels.Requirement("b")]
    files = {"a": [wheels.File("a-1-py3-none-any.whl")], "b": [wheels.File("b-1-cp311-abi3-win_amd64.whl")]}
    assert wheels.cell(asked, files, system) == "3.11 to 3.14"
    files["b"] = [wheels.File("b-1-cp311-cp311-win_amd64.whl")]
    assert wheels.cell(asked, files, system) == "3.11; for the others no b"
    files["b"] = []
    assert wheels.cell(asked, files, system) == "none: no b"


def test_the_page_has_a_row_for_the_core_and_each_extra(wheels: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = wheels.requirements(project)
    assert "torch" in {requirement.name for requirement in wanted["train"]}  # which it has of another extra
    _, _, rest = wheels.PAGE.read_text().partition(wheels.BEGIN)
    rows = [line.split(" | ") for line in rest.partition(wheels.END)[0].splitlines()]
    assert [row[0].strip("| `") for row in rows[2:]] == list(wanted)
    assert all(len(row) == 1 + len(wheels.PLATFORMS) for row in rows if len(row) > 1)
    others = {"docs", "all", "dev", "release", "fuzz", "caption"}  # for work on tacit, or the same as another
    assert set(wanted) - {"core"} == set(project["optional-dependencies"]) - others
