"""Lists of files with captions, in all their forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.captions import CaptionEntry, CaptionMap, read_caption_entries
from tacit.captions.caption_entries import parse_jsonl
from tacit.errors import InvalidInput, PathError


def save_map(folder: Path, name: str, text: str) -> CaptionMap:
    (folder / name).write_text(text, encoding="utf-8")
    return CaptionMap.load(folder / name)


FORMS = {
    "names.json": '{"a.jpg": "one", "sub/b.jpg": ["two", "zwei"]}',
    "rows.json": '[{"file": "a.jpg", "caption": "one"}, {"file": "sub/b.jpg", "captions": ["", "two"]}]',
    "rows.jsonl": '{"file": "a.jpg", "caption": "one", "width": 3}\n\n{"file": "sub/b.jpg", "captions": ["two"]}\n',
    "names.jsonl": '{"a.jpg": "one"}\r\n{"sub/b.jpg": "two"}',
    "header.csv": 'id,Caption,File\n1,one,a.jpg\n2,"two",sub/b.jpg\n',
    "plain.csv": "a.jpg,one\n\nsub/b.jpg,two\n",
    "mark.csv": "\ufefffile,caption\na.jpg,one\nsub/b.jpg,two\n",
    "objects.json": '{"a.jpg": {"en": "one", "de": "eins"}, "sub/b.jpg": [null, {"text": "two"}]}',
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


def test_rows_have_all_captions_and_may_lack_them(tmp_path: Path) -> None:
    rows = [
        {"file": "a.jpg", "captions": ["one", " ", "two"], "caption": "first"},
        {"file": "b.jpg", "captions": "three"},
        {"file": "c.jpg", "width": 3},
        {"file": "d.jpg", "caption": None},
    ]
    (tmp_path / "list.json").write_text(json.dumps(rows))
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("list.json", "list.jsonl"):
        entries = read_caption_entries(tmp_path / name, captions_required=False)
        assert {entry.file: entry.captions for entry in entries} == {
            "a.jpg": ("first", "one", "two"),
            "b.jpg": ("three",),
            "c.jpg": (),
            "d.jpg": (),
        }
    with pytest.raises(InvalidInput, match=r"list\.jsonl, line 3: a row must have \"file\" and \"caption\""):
        read_caption_entries(tmp_path / "list.jsonl")


def test_rows_of_a_corpus_need_no_file() -> None:
    text = '{"captions": ["one", "two"]}\n\n{"file": "a.jpg", "caption": "three"}\n{"url": "x"}'
    entries = list(parse_jsonl(text, "corpus.jsonl", files_required=False))
    assert entries == [CaptionEntry("", ("one", "two")), CaptionEntry("a.jpg", ("three",)), CaptionEntry("", ())]
    with pytest.raises(InvalidInput, match=r"corpus\.jsonl, line 1: a caption must be a text"):
        list(parse_jsonl('{"caption": 5}', "corpus.jsonl", files_required=False))
