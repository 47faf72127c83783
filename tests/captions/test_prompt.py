"""Prompts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.captions import load_prompt
from tacit.errors import InvalidInput, PathError

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


def test_the_prompt_asks_for_what_a_codec_can_use(tmp_path: Path) -> None:
    prompt = load_prompt()
    for word in ("number", "place in the frame", "materials", "textures", "lettering", "light"):
        assert word in prompt
    (tmp_path / "mine.txt").write_text("\ufeff  Was siehst du?\n", encoding="utf-8")
    assert load_prompt(tmp_path / "mine.txt") == "Was siehst du?"


def test_prompts_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="cannot be read"):
        load_prompt(tmp_path / "none.txt")
    for data, said in (
        (b" \n", "a prompt must have text"),
        (b"\xff", "not UTF-8"),
        (b"x" * 100_001, "must have at most 100,000 bytes"),
    ):
        (tmp_path / "prompt.txt").write_bytes(data)
        with pytest.raises(InvalidInput, match=said):
            load_prompt(tmp_path / "prompt.txt")
