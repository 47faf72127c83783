"""Captions from a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tacit.captions import LocalCaptioner
from tacit.errors import CaptionerError, InvalidInput

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


import pytest

from tacit.captions import EndpointCaptioner
from tacit.errors import CaptionerUnusable, MissingExtra

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


@pytest.mark.slow
def test_local_models_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(InvalidInput, match="must be a folder or a name"):
        LocalCaptioner("../none/of/these", "Describe it.")
    empty = LocalCaptioner(str(tmp_path), "Describe it.")
    with pytest.raises(CaptionerUnusable, match="cannot be loaded"):
        empty(Image.new("RGB", (8, 8)))


@pytest.mark.parametrize(("module", "extra"), [("httpx", "caption"), ("transformers", "clip")])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, module: str, extra: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'tacit\[{extra}\]'"):
        EndpointCaptioner("Describe it.") if module == "httpx" else LocalCaptioner("some/model", "Describe it.")


@pytest.mark.slow
def test_a_local_model_describes(tiny_blip: Path) -> None:
    one = LocalCaptioner(str(tiny_blip), "Describe it.", max_tokens=8)
    said = one(Image.new("RGB", (70, 50), (200, 30, 40)))
    assert set(said.replace(".", " ").split()) <= {
        "a",
        "red",
        "blue",
        "boat",
        "tree",
        "on",
        "lake",
        "the",
        "of",
        "house",
        "sky",
    }
    assert 1 <= len(said.split()) <= 8
    assert one(Image.new("L", (70, 50))) == one(Image.new("L", (70, 50)))
    one.stop()
    with pytest.raises(CaptionerError, match="stopped"):
        one(Image.new("RGB", (70, 50)))


def test_a_chat_model_is_asked_the_prompt_and_its_question_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for processor and model: a chat model that looks at images is too large to make up."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    asked: list[Any] = []

    class Inputs(dict[str, Any]):
        def to(self, device: str) -> Inputs:
            return self

    class Processor:
        chat_template = "{{ messages }}"

        def apply_chat_template(self, messages: Any, **options: Any) -> Inputs:
            asked.append((messages, options))
            return Inputs(input_ids=torch.tensor([[1, 2, 3]]))

        def batch_decode(self, tokens: Any, **options: Any) -> list[str]:
            return [" ".join(f"word{token}" for token in row) for row in tokens.tolist()]

    class Model:
        def generate(self, input_ids: Any, max_new_tokens: int, do_sample: bool) -> Any:
            assert not do_sample
            return torch.cat([input_ids, torch.tensor([[7, 8, 9]])], dim=1)[:, : 3 + max_new_tokens]

    one = LocalCaptioner("some/model", "Describe it.", max_tokens=2)
    monkeypatch.setattr(one, "_load", lambda: (Model(), Processor()))
    assert one(Image.new("RGB", (8, 8))) == "word7 word8"
    ((message,), options) = asked[0]
    assert [part.get("text") for part in message["content"]] == [None, "Describe it."]
    assert options["add_generation_prompt"]
