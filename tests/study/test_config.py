"""Configurations of studies: those of the package, and wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.errors import InvalidInput
from tacit.study import config as configurations
from tacit.study.config import AblationConfig, CaptionStudyConfig, OracleConfig, SteeringConfig, SurvivalConfig


def test_the_package_has_configurations_that_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TACIT_DATA", "/photos")
    monkeypatch.setenv("TACIT_POOL", "/pool")
    assert set(configurations.names()) == {"captions", "oracle", "small", "steering", "survive", "sweep"}
    kinds = {name: type(configurations.read(name)) for name in configurations.names()}
    assert kinds == {
        "captions": CaptionStudyConfig,
        "oracle": OracleConfig,
        "small": AblationConfig,
        "steering": SteeringConfig,
        "survive": SurvivalConfig,
        "sweep": OracleConfig,
    }
    small = configurations.read("small", ["seeds=[3]", "measure.qualities=[1, 2, 3]"])
    assert isinstance(small, AblationConfig)
    assert (small.seeds, small.measure.qualities) == ((3,), (1.0, 2.0, 3.0))
    assert small.measure.sets[0].source == "kodak:/photos/kodak"
    assert small.variants[0].name == "baseline"
    assert not small.variants[0].overrides
    path = tmp_path / "again.yaml"
    path.write_text(json.dumps(configurations.plain(small)))
    assert configurations.read(str(path)) == small


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nothing=1", "no such key"),
        ("seeds=[]", "must have at least one value"),
        ("seeds=[1, 1]", "must differ from each other"),
        ("seeds=x", "seeds must be a list of whole numbers, got 'x'"),
        ("variants=[{name: a}, {name: a}]", "must differ from each other"),
        ("variants=[{name: a/b}]", "letters"),
        ("kind=taste", "must be one of"),
        ("start=${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE is not set"),
        ("seeds", "key=value"),
    ],
)
def test_wrong_configurations_are_refused(override: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_DATA", "/photos")
    monkeypatch.setenv("TACIT_POOL", "/pool")
    with pytest.raises(InvalidInput, match=message):
        configurations.read("small", [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("maps=[{name: a b}]", "letters, digits, dots and dashes, got 'a b'"),
        ("maps=[{steps: 101}]", "steps must be 0 to 100, got 101"),
        ("maps=[{fall: -1}]", "fall must be 0 to 100, got -1"),
        ("maps=[{cover: 0}]", "cover must be above 0 and at most 1, got 0"),
        ("maps=[{edge: -1}]", "edge must be 0 pixels or more, got -1"),
        ("maps=[{}, {}]", "maps must differ"),
        ("maps=[]", "maps must have at least one value"),
        ("images=some", "images must be all, seen or unseen, got 'some'"),
    ],
)
def test_wrong_maps_of_boxes_are_refused(override: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_DATA", "/photos")
    with pytest.raises(InvalidInput, match=message):
        configurations.read("oracle", [override])
