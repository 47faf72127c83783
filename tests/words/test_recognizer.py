"""Names by pipelines of spaCy: which is chosen, and what is made of its entities."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT
from tacit.errors import CorruptWeights, MissingExtra, UnknownModel
from tacit.words import Weigher, recognizer

spacy: Any = pytest.importorskip("spacy") if importlib.util.find_spec("spacy") else None


needs_spacy = pytest.mark.skipif(spacy is None, reason="the extra tacit[ner] is not installed")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TACIT_NAMES", raising=False)
    monkeypatch.delenv("TACIT_WORD_TABLE", raising=False)


def test_rules_where_spacy_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    assert recognizer.Recognizer().description == "rules"
    for asked in ("package", "en_core_web_sm"):
        with pytest.raises(MissingExtra, match=r"tacit\[ner\]"):
            recognizer.Recognizer(asked)


@needs_spacy
@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (["en_core_web_sm", "en_core_web_lg", "de_core_news_sm"], "en_core_web_lg"),
        (["en_core_web_trf", "en_core_web_md"], "en_core_web_md"),
        (["en_core_web_trf"], "en_core_web_trf"),
        (["de_core_news_lg"], recognizer.PACKAGE),
    ],
)
def test_auto_takes_the_best_pipeline(monkeypatch: pytest.MonkeyPatch, installed: list[str], expected: Any) -> None:
    loaded = []

    def load(source: Any) -> Any:
        loaded.append(source)
        return spacy.blank("en")

    monkeypatch.setattr(spacy.util, "get_installed_models", lambda: installed)
    monkeypatch.setattr(spacy, "load", load)
    recognizer.Recognizer()
    assert loaded == [expected]


@needs_spacy
def test_a_pipeline_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(
        [
            {"label": "FAC", "pattern": "big dipper"},
            {"label": "DATE", "pattern": "snowmobile"},
            {"label": "ORG", "pattern": [{"LOWER": "red"}, {"LOWER": "dog"}]},
        ]
    )
    nlp.to_disk(tmp_path / "mine")
    weigher = Weigher(str(tmp_path / "mine"))
    assert weigher.settings["names"].startswith("en_pipeline")
    found = {w.text: w for w in weigher("the big dipper, a snowmobile and a red dog")}
    assert found["dipper"].reason == "name (FAC)"
    assert found["dipper"].weight >= 1.4
    assert not found["snowmobile"].reason.startswith("name")  # a date is no name
    assert found["dog"].weight < 1.25  # nor is what every caption has
    monkeypatch.setenv("TACIT_NAMES", str(tmp_path / "mine"))
    assert Weigher().settings == weigher.settings
    with pytest.raises(UnknownModel, match="auto, package, rules"):
        Weigher("en_no_such_pipeline")
    (tmp_path / "mine" / "config.cfg").unlink()
    with pytest.raises(UnknownModel):
        Weigher(str(tmp_path / "mine"))


@needs_spacy
def test_the_pipeline_in_the_package_is_small_and_has_a_card() -> None:
    assert sum(p.stat().st_size for p in recognizer.PACKAGE.rglob("*") if p.is_file()) <= 8_000_000
    card = json.loads((recognizer.PACKAGE / "meta.json").read_text())
    assert card["license"] == "CC BY 4.0"
    assert {s["license"] for s in card["sources"]} == {"CC BY 4.0"}
    assert {"wikigold", "wnut17", "btc", "uner_ewt"} == card["performance"].keys()
    assert (ROOT / card["recipe"].split()[0]).is_file()


@needs_spacy
@pytest.mark.slow
def test_the_pipeline_in_the_package_finds_names() -> None:
    recognize = recognizer.Recognizer("package")
    caption = "Tourists from Germany look at a portrait of Barack Obama in London"
    found = {caption[n.start : n.end]: n.kind for n in recognize(caption)}
    assert found.get("Barack Obama") == "PER"
    assert found.get("London") == "LOC"
    assert recognize(caption) == recognize(caption)
    long = "A photograph of London. " * 3000
    assert len(recognize(long)) >= 2900
    assert all("London" in long[n.start : n.end] for n in recognize(long[:60_000]))


@needs_spacy
def test_the_card_says_how_good_it_is(data_folder: Path) -> None:
    corpus = data_folder / "text" / "ner"
    if not corpus.is_dir():
        pytest.skip("no corpora of names in the data folder")
    ner: Any = importlib.import_module("scripts.ner")
    nlp = spacy.load(recognizer.PACKAGE)
    for name in ("uner_ewt", "wikigold"):
        found = ner.scores(nlp, ner.corpora(corpus)[name].test)
        assert found["f"] == pytest.approx(nlp.meta["performance"][name]["f"], abs=0.3), name


@needs_spacy
def test_a_damaged_package_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recognizer, "PACKAGE", tmp_path)
    with pytest.raises(CorruptWeights, match="reinstall"):
        recognizer.Recognizer("package")


@needs_spacy
def test_what_a_pipeline_finds_is_checked(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    spans = ["older asian", "asian dress", "stone building", "eiffel tower", "tower of pisa"]
    patterns = [{"label": "PER", "pattern": [{"LOWER": w} for w in span.split()]} for span in spans]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    nlp.to_disk(tmp_path / "eager")
    weigher = Weigher(str(tmp_path / "eager"))

    def found(caption: str) -> list[str]:
        return [w.text for w in weigher(caption) if w.reason.startswith("name")]

    assert found("Older Asian man in an Asian dress") == ["Asian", "Asian"]
    assert found("Stone building and a stone building") == []
    assert found("the eiffel tower") == ["eiffel", "tower"]
    assert found("the Tower of Pisa") == ["Tower", "Pisa"]
    assert found("THE TOWER OF PISA AND A MAN ON A HORSE") == ["TOWER", "PISA"]
