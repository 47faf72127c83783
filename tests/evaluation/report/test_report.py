"""Reports on disk, and those that are not of their results."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.evaluations import check_html, two_codec_results
from tacit.evaluation import results_file
from tacit.evaluation.report import outdated_files, write_report


def test_reports_that_are_not_of_their_results_are_found(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = two_codec_results()
    assert outdated_files(found, tmp_path) == ["report.md", "plots/Kodak-psnr.svg"]
    write_report(found, [], tmp_path)
    results_file.save(found, tmp_path / "results.json")
    assert outdated_files(results_file.load(tmp_path / "results.json"), tmp_path) == []
    assert outdated_files(two_codec_results(shift=0.1), tmp_path) == ["report.md", "plots/Kodak-psnr.svg"]
    said = (tmp_path / "report.md").read_text()
    (tmp_path / "report.md").write_text(said.replace("26", "27"))
    assert outdated_files(found, tmp_path) == ["report.md"]


def test_reports_without_matplotlib_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_report(two_codec_results(), [], tmp_path)
    page = (tmp_path / "report.html").read_text()
    check_html(page)
    assert "plots need matplotlib" in page
    assert "![" not in (tmp_path / "report.md").read_text()
