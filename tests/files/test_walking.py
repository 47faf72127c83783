"""Walks through folders with links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tacit.files.walking import walk


def files(folder: Path, hidden: bool = True) -> list[str]:
    found = [os.path.join(parent, name) for parent, names in walk(str(folder), hidden=hidden) for name in names]
    return [os.path.relpath(path, folder) for path in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("lib/a", "lib/.b", "lib/.c/d", "lib/sub/e", "other/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "lib" / "linked").symlink_to("../other")
    (tmp_path / "lib" / "file").symlink_to("../other/f")
    return tmp_path / "lib"


def test_links_to_folders_and_files_are_followed(tree: Path) -> None:
    assert files(tree) == [".b", "a", "file", ".c/d", "linked/f", "sub/e"]
    assert files(tree, hidden=False) == ["a", "file", "linked/f", "sub/e"]


def test_a_walk_ends_where_links_lead_back(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to("..")
    (tree / "sub" / "self").symlink_to(".")
    (tree.parent / "other" / "back").symlink_to("../lib")
    (tree.parent / "other" / "nowhere").symlink_to("gone")
    assert files(tree, hidden=False) == ["a", "file", "linked/f", "linked/nowhere", "sub/e"]


def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    errors: list[OSError] = []
    assert list(walk(str(tmp_path / "none"), onerror=errors.append)) == []
    assert isinstance(errors[0], FileNotFoundError)
