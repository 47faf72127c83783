"""YAML files to dataclasses, with values overridden on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tacit.errors import InvalidInput, PathError
from tacit.yaml_config import config_names, from_values, plain_values, read_values


@dataclass(frozen=True)
class Inner:
    share: float = 0.5
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outer:
    name: str = ""
    on: bool = False
    count: int = 1
    pair: tuple[float, float] = (0, 0)
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    rest: Mapping[str, Any] = field(default_factory=dict)


def test_dataclasses_in_dataclasses() -> None:
    values = {
        "name": 5,
        "count": 3,
        "pair": [1, "1e-3"],
        "inner": {"sizes": [1, 2]},
        "inners": [{"share": 1}],
        "rest": {"a": 1},
    }
    made = from_values(Outer, values)
    inner = Inner(sizes=(1, 2))
    assert made == Outer("5", False, 3, (1.0, 0.001), inner, (Inner(1.0),), {"a": 1})
    assert plain_values({"a": (1, {"b": (2,)})}) == {"a": [1, {"b": [2]}]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"configuration: expected keys and values, got \[\]"),
        ({"inner": 3}, "inner.: expected keys and values, got 3"),
        ({"inner": {"sizes": 3}}, "inner.sizes must be a list of whole numbers, got 3"),
        ({"inner": {"size": 3}}, "inner.size: no such key; the keys are: share, sizes"),
        ({"pair": [1]}, r"pair must be a list of 2 numbers, got \[1\]"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"on": 1}, "on must be true or false, got 1"),
        ({"name": []}, r"name must be a text, got \[\]"),
        ({"rest": 1}, "rest must be keys and values, got 1"),
    ],
)
def test_values_of_the_wrong_type_are_refused(values: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        from_values(Outer, values)


def test_files_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: x\ninner: {share: 1}\n")
    assert config_names(tmp_path) == ("a",)
    form = "key=value"
    values = read_values("a", tmp_path, ["inner.sizes=[1, 2]", "name="], form)
    assert values == {"name": "", "inner": {"share": 1, "sizes": [1, 2]}}
    assert read_values(str(tmp_path / "a.yaml"), tmp_path, [], form)["name"] == "x"
    with pytest.raises(PathError, match=r"b: no configuration can be read \(No such file.*\); in the package: a"):
        read_values("b", tmp_path, [], form)
    for override, message in (("name", "must be key=value, got 'name'"), ("name.x=1", "name.x: no such key")):
        with pytest.raises(InvalidInput, match=message):
            read_values("a", tmp_path, [override], form)
    with pytest.raises(InvalidInput, match="not YAML"):
        read_values("a", tmp_path, ["name=["], form)
