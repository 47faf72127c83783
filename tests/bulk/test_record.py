"""Names of files and members."""

from __future__ import annotations

import pytest

from tacit.bulk.record import is_inside, split_file, split_member


@pytest.mark.parametrize(
    ("name", "member", "file"),
    [
        ("a/0001.jpg", ("a/0001", "jpg"), ("a/0001", "jpg")),
        ("a.b/0001.seg.png", ("a.b/0001", "seg.png"), ("a.b/0001.seg", "png")),
        ("a.b/README", ("a.b/README", ""), ("a.b/README", "")),
        (".hidden.txt", (".hidden", "txt"), (".hidden", "txt")),
    ],
)
def test_names_are_split(name: str, member: tuple[str, str], file: tuple[str, str]) -> None:
    assert split_member(name) == member
    assert split_file(name) == file


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "C:/a", "a\\..\\b", "a\0", ""])
def test_names_that_lead_out_are_told(name: str) -> None:
    assert not is_inside(name)
    assert is_inside("a/b..c/d.tacit")
