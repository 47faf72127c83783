"""Where captions come from: order, maps, sidecars, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.captions import CaptionMap, find_caption
from tacit.container import MAX_CAPTION, Header, Metadata, read, write
from tacit.errors import InvalidInput, PathError
from tacit.image import Raster


def photo_with(caption: str | None) -> Raster:
    return Raster(np.zeros((2, 3, 3), np.uint8), metadata=Metadata(caption=caption))


def save_map(folder: Path, name: str, text: str) -> CaptionMap:
    (folder / name).write_text(text, encoding="utf-8")
    return CaptionMap.load(folder / name)


def test_the_order_is_given_map_sidecar_metadata(tmp_path: Path) -> None:
    path, photo = tmp_path / "photo.jpg", photo_with("from metadata")
    mapping = save_map(tmp_path, "map.json", '{"photo.jpg": "from the map"}')
    (tmp_path / "photo.txt").write_text(" from the sidecar\n")

    def origin(given: str | None = None, mapping: CaptionMap | None = None, use_metadata: bool = True) -> object:
        found = find_caption(path, photo, caption=given, caption_map=mapping, use_metadata=use_metadata)
        return found and (found.text, found.origin)

    assert origin("from me", mapping) == ("from me", "given")
    assert origin(None, mapping) == ("from the map", "map")
    assert origin() == ("from the sidecar", "sidecar")
    (tmp_path / "photo.txt").unlink()
    assert origin() == ("from metadata", "metadata")
    assert origin(use_metadata=False) is None


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert find_caption(tmp_path / "photo.jpg", photo_with(None)) is None
    assert find_caption(None, None) is None


def test_an_empty_given_caption_means_none(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text("from the sidecar")
    assert find_caption(tmp_path / "photo.jpg", photo_with("from metadata"), caption="  ") is None


def test_empty_captions_elsewhere_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text(" \n")
    mapping = save_map(tmp_path, "map.json", '{"photo.jpg": ""}')
    found = find_caption(tmp_path / "photo.jpg", photo_with("from metadata"), caption_map=mapping)
    assert found is not None
    assert found.origin == "metadata"


def test_a_sidecar_keeps_the_dots_of_a_name_and_drops_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "photo.v2.txt").write_text("\ufeffa boat")
    found = find_caption(tmp_path / "photo.v2.jpg")
    assert found is not None
    assert found.text == "a boat"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\xffb", "photo.txt: not UTF-8 (at byte 1)"),
        (b"a\x07b", "must have no control characters, got U+0007 at position 1"),
        (b"x" * (MAX_CAPTION + 1), "at most 65,535 bytes of UTF-8, got 65,536"),
        (b"x" * 1_000_000, "at most 65,535"),
        ("é".encode() * 500_000, "at most 65,535"),
    ],
)
def test_a_sidecar_that_cannot_be_a_caption_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "photo.txt").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        find_caption(tmp_path / "photo.jpg")
    assert message in str(caught.value)
    assert "photo.txt" in str(caught.value)


def test_a_sidecar_that_cannot_be_read_is_a_path_error(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").mkdir()
    with pytest.raises(PathError, match=r"photo\.txt: cannot be read: Is a directory"):
        find_caption(tmp_path / "photo.jpg")


@pytest.mark.parametrize("text", ["a\0b", "a\x1b[31m", "a\x85b", "a\udcffb"])
def test_control_characters_are_refused_in_a_given_caption(text: str) -> None:
    with pytest.raises(InvalidInput, match="no control characters"):
        find_caption(None, caption=text)


def test_the_longest_caption_is_counted_in_bytes() -> None:
    longest = "é" * (MAX_CAPTION // 2)
    found = find_caption(None, caption=longest)
    assert found is not None
    assert found.text == longest
    with pytest.raises(InvalidInput, match="at most 65,535"):
        find_caption(None, caption=longest + "é")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_what_is_accepted_can_be_stored_in_a_file(text: str) -> None:
    try:
        found = find_caption(None, caption=text)
    except InvalidInput:
        return
    if found is None:
        assert not text.strip()
        return
    header = Header(width=1, height=1, color=True, alpha=False, quality=50.0, model_id=1, weights_hash=bytes(8))
    data = write(header, Metadata(caption=found.text), None, [b""])
    assert read(data).metadata.caption == found.text


FORMS = {
    "names.json": '{"a.jpg": "one", "sub/b.jpg": ["two", "zwei"]}',
    "rows.json": '[{"file": "a.jpg", "caption": "one"}, {"file": "sub/b.jpg", "captions": ["", "two"]}]',
    "rows.jsonl": '{"file": "a.jpg", "caption": "one", "width": 3}\n\n{"file": "sub/b.jpg", "captions": ["two"]}\n',
    "names.jsonl": '{"a.jpg": "one"}\r\n{"sub/b.jpg": "two"}',
    "header.csv": 'id,Caption,File\n1,one,a.jpg\n2,"two",sub/b.jpg\n',
    "plain.csv": "a.jpg,one\n\nsub/b.jpg,two\n",
    "mark.csv": "\ufefffile,caption\na.jpg,one\nsub/b.jpg,two\n",
    "windows.json": '{"./a.jpg": "one", "sub\\\\b.jpg": "two"}',
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_map(tmp_path: Path, name: str) -> None:
    mapping = save_map(tmp_path, name, FORMS[name])
    assert mapping.find(tmp_path / "a.jpg") == "one"
    assert mapping.find(tmp_path / "sub" / "b.jpg") == "two"
    assert mapping.find(tmp_path / "c.jpg") is None


def test_commas_quotes_and_line_ends_in_csv(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.csv", 'file,caption\na.jpg,"a ""red"" boat,\non a lake"\n')
    assert mapping.find(tmp_path / "a.jpg") == 'a "red" boat,\non a lake'


def test_a_line_separator_inside_a_jsonl_caption(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.jsonl", json.dumps({"a.jpg": "one\u2028line"}, ensure_ascii=False))
    assert mapping.find(tmp_path / "a.jpg") == "one\u2028line"


def test_the_path_goes_before_the_name_and_the_name_before_the_stem(tmp_path: Path) -> None:
    captions = {"x/a.jpg": "path", "a.jpg": "name", "a": "stem"}
    mapping = save_map(tmp_path, "map.json", json.dumps(captions))
    assert mapping.find(tmp_path / "x" / "a.jpg") == "path"
    assert mapping.find(tmp_path / "y" / "a.jpg") == "name"
    assert mapping.find(tmp_path / "y" / "a.webp") == "stem"


def test_a_map_that_moved_is_matched_by_unique_names(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", '{"train/a.jpg": "a", "train/b.jpg": "b", "val/b.jpg": "another b"}')
    assert mapping.find("/elsewhere/a.jpg") == "a"
    assert mapping.find("/elsewhere/a.png") == "a"
    assert mapping.find("/elsewhere/b.jpg") is None, "two captions have that name; neither is guessed"
    assert mapping.find(tmp_path / "val" / "b.jpg") == "another b"


def test_a_dot_in_a_stem_is_no_suffix(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", '{"photo.v2": "second version"}')
    assert mapping.find(tmp_path / "photo.v2.jpg") == "second version"
    assert mapping.find(tmp_path / "photo.jpg") is None


def test_keys_may_be_absolute_or_have_decomposed_accents(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", json.dumps({str(tmp_path / "s" / "a.jpg"): "a", "cafe\u0301.jpg": "e"}))
    assert mapping.find(tmp_path / "s" / "a.jpg") == "a"
    assert mapping.find(tmp_path / "caf\u00e9.jpg") == "e"


def test_the_first_of_several_rows_counts(tmp_path: Path) -> None:
    rows = '{"file": "a.jpg", "caption": ""}\n{"file": "a.jpg", "caption": "one"}\n{"file": "a.jpg", "caption": "two"}'
    assert save_map(tmp_path, "map.jsonl", rows).find(tmp_path / "a.jpg") == "one"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("map.json", b"{", "not JSON"),
        ("map.json", b"[" * 100_000, "not JSON"),
        ("map.json", b'"text"', 'map.json: must be a JSON object, got "text"'),
        ("map.json", b'{"a.jpg": 3}', "map.json: a.jpg: a caption must be a text or a list of texts, got 3"),
        ("map.json", b'{"a.jpg": [3]}', "map.json: a.jpg: a caption must be a text or a list of texts, got 3"),
        ("map.jsonl", b'{"a.jpg": "one"}\n{', "map.jsonl, line 2: not JSON"),
        ("map.jsonl", b"[]", "map.jsonl, line 1: must be a JSON object"),
        ("map.csv", b"file,caption\na.jpg\n", "map.csv, line 2: a row must have a file and a caption"),
        ("map.csv", b'file,caption\na.jpg,"one\n', "line 2"),
        (
            "map.csv",
            b"image,caption\na.jpg,one\n",
            "map.csv, line 1: the first line must be file,caption, got image, caption",
        ),
        ("map.csv", b"Filename,Text\na.jpg,one\n", "line 1: the first line must be file,caption"),
        ("map.csv", b"7,a.jpg,one\n", "line 1: the first line must be file,caption"),
        (
            "map.json",
            b'[{"image": "a.jpg", "text": "one"}]',
            'map.json, entry 1: a row must have "file" and "caption", got image, text',
        ),
        (
            "map.jsonl",
            b'{"image": "a.jpg", "caption": "one", "split": "train"}',
            'line 1: a row must have "file" and "caption"',
        ),
        ("map.jsonl", b'{"file": "a.jpg", "words": "one"}', 'line 1: a row must have "file" and "caption"'),
        ("map.json", b"\xff", "not UTF-8"),
        ("map.yaml", b"a.jpg: one", "must end in .json, .jsonl, .ndjson, .csv"),
    ],
)
def test_a_map_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        CaptionMap.load(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_map_that_is_not_there_is_a_path_error(tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"map\.json: cannot be read: No such file"):
        CaptionMap.load(tmp_path / "map.json")


def test_a_bad_caption_in_a_map_names_the_map(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", json.dumps({"a.jpg": "x" * 70_000}))
    with pytest.raises(InvalidInput, match=r"map\.json: caption must have at most 65,535 bytes of UTF-8, got 70,000"):
        find_caption(tmp_path / "a.jpg", caption_map=mapping)
