"""Hashes of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.files import sha256


def test_a_hash_is_that_of_the_contents(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"abc")  # the example of FIPS 180-2
    assert sha256(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    file.write_bytes(b"")
    assert sha256(file) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "missing")
