"""Model cards: what a hub reads, and what the training card says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tacit import cli, weights
from tacit.weights.catalogue import WeightsInfo


def _front(text: str) -> dict[str, object]:
    _, front, _ = text.split("---\n", 2)
    values = yaml.safe_load(front)
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize("name", weights.SHIPPED)
def test_the_card_of_shipped_weights(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--card", name]) == 0
    text = capsys.readouterr().out
    front = _front(text)
    assert front["license"] == "other"
    assert front["datasets"] == ["bsds500", "coco-2014", "flickr8k", "imagenet", "oxford-flowers-102"]
    assert front["metrics"]
    about = weights.describe(weights.locate(name))
    assert about.decode_hash.hex() in text
    assert f"| steps | {about.card['steps']} |" in text
    assert str(about.card["terms"]) in text
    assert f"tacit encode photo.jpg -m {name}" in text


def test_cards_of_other_weights_are_made_of_what_is_there() -> None:
    card = {"data": "my | photographs", "notes": {"a": [1, 2]}}
    about = WeightsInfo(
        name="mine",
        path=Path("mine.safetensors"),
        architecture="tacit-s",
        decode_hash=bytes(8),
        variable_rate=False,
        size=1234,
        graphs=True,
        card=card,
    )
    text = weights.model_card(about)
    assert "datasets" not in _front(text)
    assert "| data | my \\| photographs |" in text
    assert '| notes | {"a": [1, 2]} |' in text
    assert "tacit encode photo.jpg -m mine.safetensors" in text
    assert text.endswith("The training card states no terms.\n")


def test_options_that_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--json", "--card", "tacit-s"]) == 2
    assert "exclude each other" in capsys.readouterr().err
