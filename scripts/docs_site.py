"""The hooks by which MkDocs makes the site of docs/ (mkdocs.yml names this file).

They add what docs/ does not have as pages, or has in another form:

- pages that are made of files outside of docs/: the contributors' guide, its glossary and the changelog;
- notebooks, which are run while the site is built, so that a cell that fails makes the build fail;
- links to files outside of docs/, which become links to the repository. Its address is in pyproject.toml alone. Images
  there are copied into the site.

A page that would load anything from another host makes the build fail, too: the site works without a network.
"""

from __future__ import annotations

import hashlib
import logging
import os
import posixpath
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import notebooks  # noqa: E402

BRANCH = "main"
PAGES = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}  # of the site, by files of the repository
GLOSSARY = "glossary.md"
GLOSSARY_TABLE = re.compile(r"\| Word \| Meaning \|\n\|---\|---\|\n(?P<rows>(?:\|.*\|\n)+)")
FENCE = re.compile(r"^(```.*?^```|~~~.*?^~~~)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<image>!\[[^\]]*)?\]\((?P<target>[^)\s]+)\)")
COPIED = "repository"  # the folder of the site that has images from outside of docs/
# What a browser would load by itself; a link that a reader may follow is none.
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|audio|video)\b[^>]*\ssrc(?:set)?=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b(?=[^>]*\srel=["']?(?:stylesheet|preconnect|preload|icon))[^>]*\shref=["']?(?:https?:)?//[^>]*>"""
    r"""|url\(\s*["']?(?:https?:)?//[^)]*\)"""
)

log = logging.getLogger("mkdocs.hooks.docs_site")
_run: dict[str, notebooks.Shown] = {}  # what running a notebook gave, by its hash: `make docs-serve` runs it once


def repository() -> str:
    """Return the address of the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"]).rstrip("/")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Link to the repository.

    The theme's own setting for that, `repo_url`, would make each page ask GitHub for the repository's figures.
    """
    config.extra["social"] = [{"icon": "material/source-repository", "link": repository(), "name": "The repository"}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that docs/ does not have as such."""
    for name, source in PAGES.items():
        files.append(_generated(config, name, (ROOT / source).read_text(encoding="utf-8")))
    files.append(_generated(config, GLOSSARY, glossary()))
    for file in list(files.documentation_pages()):
        for path in outer_images(file.content_string, file.src_uri):
            if f"{COPIED}/{path}" not in files.src_uris:
                files.append(_generated(config, f"{COPIED}/{path}", (ROOT / path).read_bytes()))
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            for name, content in _notebook(file).items():
                files.append(_generated(config, name, content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links that leave docs/ to where the site or the repository has what they mean."""
    return resolve_links(markdown, page.file.src_uri, repository())


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that would load anything from another host."""
    found = list(loaded_from_elsewhere(Path(config.site_dir)))
    if found:
        raise PluginError("the site may load nothing from other hosts:\n" + "\n".join(found))


def glossary() -> str:
    """Return the glossary as a page: the table in the contributors' guide, by the alphabet."""
    match = GLOSSARY_TABLE.search((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    if match is None:
        raise PluginError("CONTRIBUTING.md has no table of words")
    rows = sorted(match["rows"].splitlines(), key=lambda row: row.split("|")[1].strip().lower())
    head = (
        "# Glossary\n\nOne word means one thing, in the documents and in the code.\n\n| Word | Meaning |\n|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def outer_images(markdown: str, page: str) -> Iterator[str]:
    """Yield the images of a page that are outside of docs/, by their paths in the repository.

    Args:
        markdown: The page's text.
        page: The page's name in the site.
    """
    for match in LINK.finditer(markdown):
        if match["image"] and not re.match(r"[a-z]+:", match["target"]):
            path = _path(match["target"], PAGES.get(page, f"docs/{page}"))
            if not path.startswith(("docs/", "..")) and (ROOT / path).is_file():
                yield path


def resolve_links(markdown: str, page: str, address: str) -> str:
    """Return a page's text with links that the site can follow.

    Args:
        markdown: The text, with links as the repository's files have them.
        page: The page's name in the site, such as "howto/serve.md".
        address: The address of the repository.
    """
    source = PAGES.get(page, f"docs/{page}")
    parts = FENCE.split(markdown)

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        if match["image"] and (path := next(outer_images(match[0], page), None)):
            target = posixpath.relpath(f"{COPIED}/{path}", posixpath.dirname(page) or ".")
        else:
            target = _target(target, source, page, address)
        return f"{match['image'] or ''}]({target})"

    return "".join(part if FENCE.fullmatch(part) else LINK.sub(link, part) for part in parts)


def _target(target: str, source: str, page: str, address: str) -> str:
    """Return where a link leads in the site.

    Args:
        target: The link's target in the file that the page is made of.
        source: That file, from the root of the repository.
        page: The page's name in the site.
        address: The address of the repository.
    """
    if re.match(r"[a-z]+:|#", target):
        return target
    name, mark, anchor = target.partition("#")
    path = _path(name, source)
    pages = {made_of: made for made, made_of in PAGES.items()}
    if path in pages or path.startswith("docs/"):
        inside = pages.get(path) or re.sub(r"\.ipynb$", ".md", path.removeprefix("docs/"))
        return posixpath.relpath(inside, posixpath.dirname(page) or ".") + mark + anchor
    there = ROOT / path
    if path.startswith("..") or not there.exists():
        log.warning("%s: no file %s in the repository", source, path)
    return f"{address}/{'tree' if there.is_dir() else 'blob'}/{BRANCH}/{path}{mark}{anchor}"


def _path(target: str, source: str) -> str:
    """Return the path in the repository that a link of one of its files means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """Yield FILE: TEXT for each place of a site's pages and styles that makes browsers ask another host."""
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for match in LOADED.finditer(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)}: {match[0][:120]}"


def _notebook(file: File) -> dict[str, str | bytes]:
    """Return the page of a notebook, and the images on it, by their names in the site."""
    assert file.abs_src_path is not None
    path = Path(file.abs_src_path)
    key = hashlib.sha256(path.read_bytes()).hexdigest()
    if key not in _run:
        log.info("Running %s", file.src_uri)
        try:
            _run[key] = notebooks.show(notebooks.run(path))
        except notebooks.CellFailed as error:
            raise PluginError(f"{file.src_uri}: {error}") from error
    shown = _run[key]
    stem = file.src_uri.removesuffix(".ipynb")
    folder, name = os.path.split(stem)
    text = shown.markdown.replace(notebooks.IMAGES, name)
    download = f'<a href="{name}.ipynb" download>{name}.ipynb</a>'
    note = f"\n\n*This page is a notebook, run when the site was built: {download}.*\n"
    first, _, rest = text.partition("\n\n")
    page: dict[str, str | bytes] = {f"{stem}.md": f"{first}{note}\n{rest}"}
    return page | {f"{folder}/{name}-{number}.png": image for number, image in enumerate(shown.images, 1)}


def _generated(config: MkDocsConfig, name: str, content: str | bytes) -> File:
    options: dict[str, Any] = {"content": content, "inclusion": InclusionLevel.INCLUDED}
    return File.generated(config, name, **options)
