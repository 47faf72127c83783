"""What is published: one version everywhere, the contents of wheels, the files that say how."""

from __future__ import annotations

import importlib
import json
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import tacit
from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="not in the repository")

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.name != "config.yml")


@pytest.fixture(scope="module")
def smoke() -> ModuleType:
    return importlib.import_module("scripts.smoke")


def test_every_file_has_the_version_of_the_package() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["readme", "version"]
    assert json.loads((ROOT / "js" / "package.json").read_text())["version"] == tacit.__version__
    locked = json.loads((ROOT / "js" / "package-lock.json").read_text())
    assert locked["version"] == locked["packages"][""]["version"] == tacit.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == tacit.__version__
    newest = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == tacit.__version__


def test_a_wheel_has_the_package_and_nothing_else(smoke: ModuleType) -> None:
    builder = pytest.importorskip("hatchling.builders.wheel")
    files = list(builder.WheelBuilder(str(ROOT)).recurse_included_files())
    names = [file.distribution_path for file in files]
    assert smoke.strangers(names) == []
    assert not [name for name in names if re.search(r"(^|/)(tests?|runs|data/captions|node_modules)/", name)]
    sizes = {file.distribution_path: Path(file.path).stat().st_size for file in files}
    viewer = {name: size for name, size in sizes.items() if "/viewer/static/" in name}  # where it has been built
    assert sum(viewer.values()) < 32e6  # 8 MB when compressed
    assert sum(sizes.values()) - sum(viewer.values()) < 80e6  # about 51 MB when compressed


def test_a_source_distribution_has_what_a_wheel_and_the_tests_are_made_of() -> None:
    builder = pytest.importorskip("hatchling.builders.sdist")
    names = {file.distribution_path for file in builder.SdistBuilder(str(ROOT)).recurse_included_files()}
    for name in (
        "Makefile",
        "README.md",
        "hatch_build.py",
        "CITATION.cff",
        "tests/conftest.py",
        "js/package.json",
        ".ci/run",
    ):
        assert name in names
    assert not [name for name in names if "node_modules" in name or name.startswith(("runs/", "dist/"))]


def test_links_of_the_long_description_are_addresses(smoke: ModuleType) -> None:
    core, plugin = pytest.importorskip("hatchling.metadata.core"), pytest.importorskip("hatchling.plugin.manager")
    project = core.ProjectMetadata(str(ROOT), plugin.PluginManager())
    assert project.core.readme_content_type == "text/markdown"
    built, readme = project.core.readme, (ROOT / "README.md").read_text()
    assert smoke.relative_links(built) == []
    assert len(smoke.relative_links(readme)) == len(re.findall(r"\]\((?!http)", readme)) > 0
    at_tag = project.core.urls["Repository"] + "/{}/v" + tacit.__version__ + "/"
    assert f"]({at_tag.format('raw')}docs/demo.webp)" in built
    assert f"]({at_tag.format('blob')}docs/design.md#exact)" in built
    assert f"]({at_tag.format('blob')}README.md#terms)" in built
    assert re.sub(r"\]\(.*?\)", "", built) == re.sub(r"\]\(.*?\)", "", readme)  # and nothing else is changed


def test_code_in_the_long_description_stays_as_it_is() -> None:
    pytest.importorskip("hatchling")
    absolute = importlib.import_module("hatch_build").absolute
    text = "[a](b.md), [c](https://d.org/e)\n\n```python\nx[a](b)\n```\n"
    expected = text.replace("(b.md)", "(https://host/o/p/blob/main/b.md)")
    assert absolute(text, "https://host/o/p/", "main") == expected


def test_what_is_wrong_with_a_wheel_is_said(smoke: ModuleType, tmp_path: Path) -> None:
    wheel, source = tmp_path / "tacit-1-py3-none-any.whl", tmp_path / "tacit-1.tar.gz"
    with zipfile.ZipFile(wheel, "w") as made:
        for name in ("tacit/py.typed", "tacit/weights/tacit-s.safetensors", "tests/conftest.py", "tacit/a.pyc"):
            made.writestr(name, "")
        made.writestr("tacit-1.dist-info/METADATA", "[a](docs/a.md) and [b](https://b.org)")
    assert smoke.problems(wheel) == [
        "tests/conftest.py must not be in it",
        "tacit/a.pyc must not be in it",
        "tacit/weights/tacit-s-mse.safetensors is missing",
        "the long description's links must be addresses, got docs/a.md",
    ]
    with tarfile.open(source, "w:gz") as packed:
        packed.add(wheel, "tacit-1/runs/x")
    assert "runs/x must not be in it" in smoke.problems(source)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_pin_their_actions_and_call_what_is_there(path: Path) -> None:
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    uses = re.findall(r"uses: (\S+)", text)
    assert uses
    for action in uses:
        assert action.startswith("./") or re.fullmatch(r"[\w/-]+@v\d+\.\d+\.\d+", action), action
        if action.startswith("./"):
            assert (ROOT / action).is_file()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for script in re.findall(r"scripts/\w+\.py|\.ci/\w+", text):
        assert (ROOT / script).is_file(), script
    for name, job in workflow["jobs"].items():
        assert "uses" in job or "environment" in job or "timeout-minutes" in job or name == "weights", name


def test_only_the_jobs_that_publish_may_ask_for_an_identity() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text())["jobs"]
    assert {name for name, job in jobs.items() if "id-token" in job.get("permissions", {})} == {"pypi", "test-pypi"}
    for name in ("pypi", "test-pypi"):
        assert set(jobs[name]["needs"]) == {"build", "tests"}
        assert jobs[name]["environment"]["name"] == name.replace("-", "")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_are_as_github_takes_them(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    named = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in named}) == len(named) > 0
    for part in form["body"]:
        assert part["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert "value" in part["attributes"] if part["type"] == "markdown" else part["attributes"]["label"]
        if part["type"] in {"dropdown", "checkboxes"}:
            assert part["attributes"]["options"]
