"""The table of architectures: its classes can be imported, and it is complete and without torch."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from tacit.architectures import ARCHITECTURES, Architecture, architecture_of, by_number
from tacit.models.float_model import FloatModel


@pytest.mark.parametrize("row", ARCHITECTURES.values(), ids=lambda row: row.name)
def test_rows_name_classes_that_are_there(row: Architecture) -> None:
    assert issubclass(row.model_class(), FloatModel)
    assert set(row.decoding_fields) <= {field.name for field in dataclasses.fields(row.config_class())}
    assert by_number(row.number) is row


def test_names_and_numbers_are_unique() -> None:
    assert len({row.number for row in ARCHITECTURES.values()}) == len(ARCHITECTURES)
    assert all(name == row.name for name, row in ARCHITECTURES.items())


def test_numbers_in_files_stay() -> None:
    assert {row.number: name for name, row in ARCHITECTURES.items()} == {1: "tacit-s", 2: "taco"}
    assert by_number(99) is None


def test_other_classes_are_of_no_architecture() -> None:
    with pytest.raises(LookupError, match=r"builtins\.int is the model of no architecture"):
        architecture_of(5)


def test_the_table_needs_no_torch() -> None:
    code = "import sys, tacit.architectures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
