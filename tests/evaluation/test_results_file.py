"""The JSON file of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.evaluations import two_codec_results
from tacit.errors import InvalidInput, PathError
from tacit.evaluation import results_file


def test_results_survive_their_file(tmp_path: Path) -> None:
    found = two_codec_results()
    results_file.save(found, tmp_path / "r.json")
    again = results_file.load(tmp_path / "r.json")
    assert results_file.to_json(again) == results_file.to_json(found)
    assert max(map(len, (tmp_path / "r.json").read_text().splitlines())) < 600  # differences can be read
    for text, said in (("{", "not JSON"), ("[]", "not a result"), ('{"kind": "tacit eval"}', "got None")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InvalidInput, match=said):
            results_file.load(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text('{"kind": "tacit eval", "format": 1}')
    with pytest.raises(InvalidInput, match="damaged results"):
        results_file.load(tmp_path / "bad.json")
    with pytest.raises(PathError):
        results_file.load(tmp_path / "none.json")
