"""Files of captions that grow row by row."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.captions import CaptionFile, CaptionMap
from tacit.errors import InvalidInput, PathError

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")

from support.caption_files import rows


def test_a_row_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"file": "a.png", "captions": ["one"]}\n{"file": "b.png", "capt')
    with CaptionFile(path) as written:
        assert str(tmp_path / "a.png") in written
        assert str(tmp_path / "b.png") not in written
        written.add(str(tmp_path / "b.png"), "two", "me")
    assert rows(path) == {"a.png": "one", "b.png": "two"}


def test_a_last_row_without_its_line_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"file": "a.png", "captions": ["one"]}')
    with CaptionFile(path) as written:
        written.add(str(tmp_path / "b.png"), "two", "me")
    assert rows(path) == {"a.png": "one", "b.png": "two"}


@pytest.mark.parametrize("content", [b"not JSON\nat all\n", b"\xff\xfe\n", b'["list"]\n'])
def test_files_that_hold_no_captions_are_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="captions"):
        CaptionFile(path)
    assert path.read_bytes() == content
    with CaptionFile(path, overwrite=True) as written:
        assert path.read_bytes() == content  # until there is a row
        written.add(str(tmp_path / "b.png"), "two", "me")
    assert rows(path) == {"b.png": "two"}


def test_rows_go_into_jsonl_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\.jsonl"):
        CaptionFile(tmp_path / "captions.csv")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(PathError, match="cannot be read"):
        CaptionFile(tmp_path / "folder.jsonl")


def test_a_full_disk_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    with CaptionFile(path) as written:
        written.add(str(tmp_path / "a.png"), "one", "me")
        stream: Any = written._stream

        class Full:
            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def write(self, data: bytes) -> int:
                return stream.write(data[:7])  # type: ignore[no-any-return]

        written._stream = Full()  # type: ignore[assignment]
        with pytest.raises(PathError, match=os.strerror(errno.ENOSPC)):
            written.add(str(tmp_path / "b.png"), "two", "me")
        assert str(tmp_path / "b.png") not in written
        written._stream = stream
        written.add(str(tmp_path / "c.png"), "three", "me")
    assert rows(path) == {"a.png": "one", "c.png": "three"}


NAMES = st.text(st.characters(exclude_characters="/\0\\", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(NAMES, st.text(min_size=1).filter(str.strip), max_size=5), st.data())
def test_rows_of_any_names_come_back_and_cuts_cost_one(captions: dict[str, str], data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "captions.jsonl"
        captions = {file: " ".join(text.encode("utf-8", "replace").decode().split()) for file, text in captions.items()}
        captions = {file: text for file, text in captions.items() if text}
        with CaptionFile(path) as written:
            for file, text in captions.items():
                written.add(str(folder / file), text, "me")
        if captions:
            whole = path.read_bytes()
            cut = data.draw(st.integers(0, len(whole)))
            path.write_bytes(whole[:cut])
            with CaptionFile(path) as again:
                left = [file for file in captions if str(folder / file) not in again]
                for file in left:
                    again.add(str(folder / file), captions[file], "me")
            assert len(left) >= whole[cut:].count(b"\n") - 1
            lines = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
            assert {row["file"]: row["captions"][0] for row in lines} == captions
            mapping = CaptionMap.load(path)
            assert all(mapping.find(folder / file) for file in captions)
