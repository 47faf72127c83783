"""Text encoders by their names."""

from __future__ import annotations

import sys

import pytest

from tacit.errors import MissingExtra, UnknownModel
from tacit.text.encoders import ENCODERS, load_encoder


@pytest.mark.parametrize("name", ["", "Embedded", "embedded:x", "clip:", "clip-published:", "clipper", "bert"])
def test_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(UnknownModel, match=f"one of {', '.join(ENCODERS)}, clip:SOURCE"):
        load_encoder(name)


def test_clip_without_transformers_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"tacit\[clip\]"):
        load_encoder("clip")
