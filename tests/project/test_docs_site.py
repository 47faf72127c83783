"""The site of the documents: what its hooks make, that nothing is left out of it, and that it needs no other host."""

from __future__ import annotations

import base64
import importlib
import json
import re
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import tacit
from support.paths import ROOT
from support.pictures import synthetic

pytest.importorskip("mkdocs", reason="needs MkDocs: pip install 'tacit[docs]'")
pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="no documents here")

ADDRESS = "https://example.org/tacit"
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")


@pytest.fixture
def site() -> ModuleType:
    return importlib.import_module("scripts.docs_site")


@pytest.fixture
def notebooks() -> ModuleType:
    return importlib.import_module("scripts.notebooks")


def _navigation() -> set[str]:
    return set(re.findall(r"(?m)^ +- (?:.*: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text()))


def test_each_page_is_in_the_navigation_and_each_entry_of_it_has_a_page(site: ModuleType) -> None:
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    made = {path.relative_to(docs).with_suffix(".md").as_posix() for path in NOTEBOOKS} | {*site.PAGES, site.GLOSSARY}
    assert _navigation() == pages | made


def test_the_reference_has_every_public_name() -> None:
    described = set(re.findall(r"(?m)^::: (\S+)$", (ROOT / "docs" / "reference" / "python.md").read_text()))
    errors = vars(importlib.import_module("tacit.errors"))
    assert {f"tacit.{name}" for name in tacit.__all__ if name not in errors} <= described
    assert "::: tacit.errors\n" in (ROOT / "docs" / "reference" / "errors.md").read_text()
    for name in described - {"tacit.pillow"}:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_the_glossary_is_the_contributors_table(site: ModuleType) -> None:
    words = re.findall(r"(?m)^\| (.+?) \|", site.glossary())
    assert words[0] == "Word"
    assert words[1:] == sorted(words[1:], key=str.lower)
    assert len(words) > 40
    table = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(f"| {word} |" in table for word in words)


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("words.md", "[a](keep.md#b)", "[a](keep.md#b)"),
        ("howto/serve.md", "[a](../web.md)", "[a](../web.md)"),
        ("words.md", "[a](https://b.org/c.md)", "[a](https://b.org/c.md)"),
        ("words.md", "[a](#b)", "[a](#b)"),
        ("words.md", "[a](../pyproject.toml)", f"[a]({ADDRESS}/blob/main/pyproject.toml)"),
        ("howto/serve.md", "[a](../../examples)", f"[a]({ADDRESS}/tree/main/examples)"),
        ("howto/serve.md", "[a](../../CONTRIBUTING.md#b)", "[a](../contributing.md#b)"),
        ("words.md", "[a](notebooks/words.ipynb)", "[a](notebooks/words.md)"),
        ("howto/a.md", "![a\nb](../../docs/rooms.svg)", "![a\nb](../rooms.svg)"),
        ("howto/a.md", "[![a](../../tests/b.svg)](../web.md)", "[![a](../repository/tests/b.svg)](../web.md)"),
        ("contributing.md", "[a](docs/design.md) [b](CHANGELOG.md)", "[a](design.md) [b](changelog.md)"),
        ("changelog.md", "[a](js/README.md)", f"[a]({ADDRESS}/blob/main/js/README.md)"),
        ("words.md", "```\n[a](../b)\n```\n![c](images/d.webp)", "```\n[a](../b)\n```\n![c](images/d.webp)"),
    ],
)
def test_links(
    site: ModuleType, page: str, text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "b.svg" in text:
        (tmp_path / "tests").mkdir()
        (tmp_path / "tests" / "b.svg").write_text("<svg/>")
        monkeypatch.setattr(site, "ROOT", tmp_path)
    assert site.resolve_links(text, page, ADDRESS) == expected


@pytest.mark.parametrize("target", ["../nowhere.json", "../../elsewhere"])
def test_a_link_to_no_file_is_reported(site: ModuleType, target: str, caplog: pytest.LogCaptureFixture) -> None:
    site.resolve_links(f"[a]({target})", "words.md", ADDRESS)
    assert [record.levelname for record in caplog.records] == ["WARNING"]  # which a strict build does not pass


def test_the_repositorys_address_is_in_one_place(site: ModuleType) -> None:
    assert site.repository().startswith("https://")
    assert site.repository() not in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://unpkg.com/a.js"></script>',
        '<link href="//fonts.example/a.css" rel="stylesheet">',
        '<img alt="" src=http://a.b/c.png>',
        "<style>@font-face{src:url(https://a.b/c.woff)}</style>",
    ],
)
def test_what_loads_from_elsewhere_is_found(site: ModuleType, text: str, tmp_path: Path) -> None:
    fine = '<script src="a.js"></script><a href="https://a.b">c</a><link rel="canonical" href="https://a.b/">'
    (tmp_path / "a.html").write_text(fine)
    assert list(site.loaded_from_elsewhere(tmp_path)) == []
    (tmp_path / "b.html").write_text(fine + text)
    assert len(list(site.loaded_from_elsewhere(tmp_path))) == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert notebook["cells"][0]["source"][0].startswith("# ")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        compile("".join(cell["source"]), path.name, "exec")


def _cell(kind: str, source: str, *outputs: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(cell_type=kind, source=source, outputs=outputs)


def test_a_notebook_as_a_page(notebooks: ModuleType) -> None:
    image = {"data": {"image/png": base64.b64encode(b"PNG").decode(), "text/plain": "<Image>"}}
    cells = [
        _cell("markdown", "# A"),
        _cell("code", "print(1)", {"text": "\x1b[31m1\x1b[0m\n"}),
        _cell("code", "b", image),
        _cell("code", "c = 1"),
    ]
    shown = notebooks.show(SimpleNamespace(cells=cells))
    assert shown.images == (b"PNG",)
    assert shown.markdown == (
        "# A\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nb\n```\n\n"
        "![What the code above shows]({images}-1.png)\n\n```python\nc = 1\n```\n"
    )


@pytest.mark.slow
def test_a_cell_that_fails_is_an_error(notebooks: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "a",
        "metadata": {},
        "outputs": [],
        "source": "1 / 0",
    }
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with pytest.raises(notebooks.CellFailed, match="division by zero"):
        notebooks.run(path)


@pytest.mark.slow
@pytest.mark.browser
def test_a_page_asks_no_other_host_and_its_search_works_from_disk(tmp_path: Path) -> None:
    pytest.importorskip("material")
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs" / "assets", docs / "assets")
    (docs / "index.md").write_text("# Boats\n\n![A boat](boat.png)\n\nThis page is about a brigantine.\n")
    Image.fromarray(synthetic(32, 32)).save(docs / "boat.png")
    changes: dict[str, Any] = {"nav": [{"Boats": "index.md"}], "hooks": [], "docs_dir": str(docs)}
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), **changes)
    build(config)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "site" / "index.html").as_uri())
        page.locator("input.md-search__input").press_sequentially("brigantine")  # the search waits for keys
        page.wait_for_selector(".md-search-result__item")
        assert "Boats" in page.inner_text(".md-search-result__list")
        browser.close()
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
