"""What the build adds to the metadata: the README as PyPI shows it, with addresses instead of relative links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from hatchling.metadata.plugin.interface import MetadataHookInterface

FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<image>!\[[^\]]*)?\]\((?P<target>[^)\s]+)\)")


class LongDescription(MetadataHookInterface):
    """The README, whose links lead into the repository at the tag of the version."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of the project."""
        version = re.search(r'__version__ = "(.+)"', Path(self.root, "src/tacit/__init__.py").read_text("utf-8"))
        assert version is not None
        text = Path(self.root, "README.md").read_text("utf-8")
        text = absolute(text, metadata["urls"]["Repository"], f"v{version[1]}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def absolute(readme: str, repository: str, tag: str) -> str:
    """Return a README of the repository's root with addresses instead of relative links.

    Args:
        readme: The README, in Markdown.
        repository: The address of the repository.
        tag: The tag or branch that the links lead to.
    """

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        page = "README.md" if target.startswith("#") else ""
        root = f"{repository.rstrip('/')}/{'raw' if match['image'] else 'blob'}/{tag}/"
        return f"{match['image'] or ''}]({urljoin(root + page, target)})"

    parts = FENCE.split(readme)
    return "".join(part if FENCE.fullmatch(part) else LINK.sub(link, part) for part in parts)
