"""Which words of a caption matter: words, tables, names, and the weights made of them."""

from __future__ import annotations

import gzip
import importlib.util
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.paths import ROOT
from tacit.errors import CorruptWeights, InvalidInput, MissingExtra, PathError, UnknownModel
from tacit.words import Weigher, Word, names, weigh
from tacit.words.building import build_table, read_corpus
from tacit.words.english import key_of, singular, tokens
from tacit.words.table import SHIPPED, Entry, WordTable, read_table


@pytest.fixture(scope="module")
def by_rules() -> Weigher:
    return Weigher("rules")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TACIT_NAMES", raising=False)
    monkeypatch.delenv("TACIT_WORD_TABLE", raising=False)


def weights(words: tuple[Word, ...]) -> dict[str, float]:
    return {word.text: word.weight for word in words}


# --- words


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a dog's half-eaten hot-dog.", ["a", "dog's", "half-eaten", "hot-dog"]),
        ("the dogs\u2019 caf\u00e9, at 2.5 m", ["the", "dogs", "caf\u00e9", "at", "2.5", "m"]),
        ("cafe\u0301 na\u00efve", ["cafe\u0301", "na\u00efve"]),
        ("the U.S. flag at no. 1,000", ["the", "U.S.", "flag", "at", "no", "1,000"]),
        ("it's A&W_cola - \u201cone\u201d", ["it's", "A&W", "cola", "one"]),
        ("\u72ac \u0441\u043e\u0431\u0430\u043a\u0430 \U0001f436", ["\u72ac", "\u0441\u043e\u0431\u0430\u043a\u0430"]),
        ("", []),
        (" \t\n!?", []),
    ],
)
def test_words(caption: str, words: list[str]) -> None:
    found = tokens(caption)
    assert [token.text for token in found] == words
    assert [caption[token.start : token.end] for token in found] == words


def test_keys() -> None:
    assert key_of("Dog\u2019s") == "dog"
    assert key_of("CAFE\u0301") == "caf\u00e9"
    assert key_of("it's") == "it's"
    assert key_of("half\u2010pipe") == "half-pipe"
    assert [singular(k) for k in ("dogs", "cherries", "dishes", "glass", "bus", "is", "a")] == [
        "dog", "cherry", "dish", None, None, None, None,
    ]  # fmt: skip


def test_sentences_begin_behind_full_stops_but_not_behind_abbreviations() -> None:
    found = {t.text for t in tokens("A dog. Mr. Bean in St. Peter's! Then: J. K. Rowling\nThe end") if t.initial}
    assert found == {"A", "Mr", "Then", "J", "The"}


# --- tables


def test_the_shipped_table_is_small_and_says_what_it_is_of() -> None:
    assert SHIPPED.stat().st_size <= 1_000_000
    table = read_table()
    assert table.captions > 200_000
    assert {"sources", "recipe"} <= table.card.keys()
    assert all(len(term.split(" ")) <= 2 and term == key_of(term) for term in table.entries)
    assert all(e.idf >= 1 and 0 <= e.noun <= 1 and 0 <= e.name <= 1 for e in table.entries.values())


def test_the_shipped_table_knows_nouns_names_and_pairs() -> None:
    table = read_table()

    def entry(term: str) -> Entry:
        found = table[term]
        assert found is not None, term
        return found

    nouns = [
        "man",
        "dog",
        "wave",
        "hydrant",
        "retriever",
        "building",
        "t-shirt",
        "surfboards",
        "giraffe",
        "broccoli",
        "half-pipe",
    ]
    others = [
        "red",
        "wearing",
        "golden",
        "runs",
        "jumps",
        "standing",
        "colorful",
        "is",
        "wooden",
        "smiling",
        "sits",
        "large",
    ]
    assert [w for w in nouns if entry(w).noun < 0.15] == []
    assert [w for w in others if entry(w).noun >= 0.15] == []
    assert [w for w in ["london", "santa", "asian", "wii", "paris", "american"] if entry(w).name < 0.5] == []
    assert [w for w in ["dog", "park", "stop", "red", "tower"] if entry(w).name > 0.3] == []
    assert all(table[pair] for pair in ("golden retriever", "fire hydrant", "tennis racket", "teddy bears"))
    assert table["dog runs"] is None
    assert entry("retriever").idf > entry("surfboard").idf > entry("dog").idf > entry("a").idf


def test_a_plural_is_as_common_as_its_singular() -> None:
    table = WordTable({"dog": Entry(2, 0.5, 0), "dogs": Entry(3, 0.2, 0.1)}, 10, {}, "")
    assert table["dogs"] == Entry(2, 0.2, 0.1)
    assert table["dog"] == Entry(2, 0.5, 0)
    assert WordTable({"dog": Entry(2, 0.5, 0)}, 10, {}, "")["dogs"] == Entry(2, 0.5, 0)


def test_levels_are_sublinear_tf_idf() -> None:
    table = WordTable({}, 100_000, {}, "")
    once = table.level(Entry(1 + math.log(50), 0, 0))
    assert once == pytest.approx(math.log(50) / math.log(2000))
    assert table.level(Entry(1 + math.log(5), 0, 0), 3) == pytest.approx(
        table.level(Entry(1 + math.log(5), 0, 0)) * (1 + math.log(3))
    )
    assert table.level(Entry(1.0, 0, 0)) == 0
    assert table.level(None) == 1


CORPUS = [
    "a golden retriever on a beach", "the golden retriever is wet", "a man and a golden retriever in water",
    "a red boat on a lake", "two boats in Oslo", "a man walks to Oslo", "Oslo in winter", "the man of Oslo is old",
    "a golden retriever with a man", "a golden retriever in a boat",
]  # fmt: skip


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the extra tacit[words] is not installed")
    file = tmp_path / "mine.tsv.gz"
    file.write_bytes(build_table(CORPUS, {"sources": "mine"}))
    assert build_table([*CORPUS, CORPUS[0]], {"sources": "mine"}) == file.read_bytes()
    table = read_table(file)
    assert table.captions == len(CORPUS)
    assert table.card["sources"] == "mine"
    with_it = sum("retriever" in c for c in CORPUS)
    retriever = table["retriever"]
    assert retriever is not None
    assert retriever.idf == pytest.approx(1 + math.log((1 + len(CORPUS)) / (1 + with_it)), abs=1e-3)
    assert retriever.noun > 0.5
    assert table["golden retriever"] is not None
    assert table["golden"] is not None
    assert table["golden"].noun < 0.15
    assert table["oslo"] is not None
    assert table["oslo"].name > 0.5
    assert table["walks"] is None  # too rare to be counted
    mine = weights(Weigher("rules", file)("the man of Oslo is old"))
    assert mine["of"] == 1 < mine["man"] < mine["Oslo"]


def test_corpora(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt.gz"
    lines.write_bytes(gzip.compress("a dog\n\n caf\u00e9 \n".encode()))
    assert read_corpus(lines) == ["a dog", "caf\u00e9"]
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"captions": ["a", "b"]}\n\n{"file": "x", "caption": "c"}\n{"captions": []}\n')
    assert read_corpus(rows) == ["a", "b", "c"]
    rows.write_text("[1]\n")
    with pytest.raises(InvalidInput, match="line 1"):
        read_corpus(rows)
    with pytest.raises(PathError):
        read_corpus(tmp_path / "none.txt")


def test_what_is_no_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bad.tsv.gz"
    good = gzip.decompress(SHIPPED.read_bytes())
    for data in (b"", b"text", gzip.compress(b"{}\n"), gzip.compress(good[:5000]), SHIPPED.read_bytes()[:5000]):
        file.write_bytes(data)
        with pytest.raises(InvalidInput, match="word-table"):
            read_table(file)
    with pytest.raises(PathError):
        read_table(tmp_path / "none")
    with pytest.raises(InvalidInput, match="too few"):
        build_table(["a", "b"], {})
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(MissingExtra, match=r"tacit\[words\]"):
        build_table(CORPUS, {})


# --- weights


@pytest.mark.parametrize(
    ("caption", "high", "one"),
    [
        ("a golden retriever at the Eiffel Tower", "golden retriever Eiffel Tower", "a at the"),
        ("eiffel tower at night", "eiffel tower", "at"),
        ("the Statue of Liberty in the U.S.", "Statue Liberty U.S.", "the of in"),
        ("Two Japanese women in front of St. Peter's Basilica", "Japanese St Peter's Basilica", "in front of"),
        ("Paris in the rain", "Paris", "in the"),
        ("rhododendrons by a fire hydrant", "rhododendrons", "by a"),
        ('a sign that says "STOP here"', "STOP", "a that here"),
        ("a macaw\u2019s beak, close-up", "macaw\u2019s beak", "a close-up"),
        ("Old Eiffel Tower", "Eiffel Tower", ""),
        ("Un chien noir court sur la plage avec son chat \u00e0 Paris", "Paris", "Un chien noir court sur plage chat"),
        ("a Boeing 747 of Lufthansa", "Boeing Lufthansa", "a of"),
    ],
)
def test_names_and_rare_nouns_weigh_most(by_rules: Weigher, caption: str, high: str, one: str) -> None:
    found = weights(by_rules(caption))
    assert [word for word in high.split() if not 1.4 <= found[word] <= 1.5] == []
    assert [word for word in one.split() if found[word] != 1] == []


def test_the_order_of_weights(by_rules: Weigher) -> None:
    found = weights(by_rules("two smiling men ride a red snowmobile past a hydrant"))
    assert found["a"] == 1 < found["red"] < found["smiling"] < 1.25 < found["hydrant"] < found["snowmobile"]
    assert 1 < found["men"] < 1.25
    assert 1 < found["two"] < 1.15


def test_capitals_that_say_nothing(by_rules: Weigher) -> None:
    plain = by_rules("a man riding a wave on a surfboard near a dog")
    for caption in ("A Man Riding A Wave On A Surfboard Near A Dog", "A MAN RIDING A WAVE ON A SURFBOARD NEAR A DOG"):
        assert [w.weight for w in by_rules(caption)] == [w.weight for w in plain]
    initial = weights(by_rules("Stone building. Smiling woman. Chocolate cake."))
    assert max(initial["Stone"], initial["Smiling"]) <= 1.25


def test_reasons(by_rules: Weigher) -> None:
    found = {w.text: w.reason for w in by_rules('a red fire hydrant in Oslo near "OPEN" tzatziki, picture 3')}
    assert found == {
        "a": "function word",
        "red": "common word",
        "fire": '"fire hydrant"',
        "hydrant": '"fire hydrant"',
        "in": "function word",
        "Oslo": "name (capitals)",
        "near": "function word",
        "OPEN": "quoted",
        "tzatziki": "unknown noun",
        "picture": "says little",
        "3": "rare number",
    }


def test_repeated_words_weigh_more(by_rules: Weigher) -> None:
    once, thrice = (weights(by_rules(c))["umbrella"] for c in ("an umbrella", "an umbrella, an umbrella, an umbrella"))
    assert 1 < once < thrice <= 1.5


@pytest.mark.parametrize("caption", [None, "", "  ", "!?", "\U0001f436"])
def test_no_words(by_rules: Weigher, caption: str | None) -> None:
    assert by_rules(caption) == ()


def test_what_is_no_caption(by_rules: Weigher) -> None:
    with pytest.raises(InvalidInput):
        by_rules(b"a dog")  # type: ignore[arg-type]


TEXT = st.text(st.characters(exclude_categories=()), max_size=80) | st.lists(
    st.sampled_from(
        [
            "a",
            "The",
            "of",
            "man",
            "Dog's",
            "retriever",
            "Eiffel",
            "Tower",
            "'STOP\"",
            "U.S.",
            "half-pipe",
            "12",
            "’s",  # noqa: RUF001 - the curly apostrophe is meant
            "“",
            "”",
            ".",
            "!",
            "-",
            "xyzzy",
        ]
    ),
    max_size=30,
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(caption=TEXT)
def test_any_caption(by_rules: Weigher, caption: str) -> None:
    words = by_rules(caption)
    assert words == by_rules(caption)
    end = 0
    for word in words:
        assert end <= word.start < word.end <= len(caption)
        assert caption[word.start : word.end] == word.text
        assert 1.0 <= word.weight <= 1.5
        assert word.reason
        end = word.end


def test_a_long_caption_takes_time_in_proportion(by_rules: Weigher) -> None:
    start = time.process_time()
    caption = 'A golden-haired dog of "Oslo" runs. ' * 2000
    assert len(by_rules(caption)) == 6 * 2000
    assert len(by_rules("\u201c" * 20_000 + "x" * 100_000 + "-a" * 5000)) == 1
    assert time.process_time() - start < 3


def test_weighing_by_rule_needs_none_of_the_heavy_libraries() -> None:
    script = """
import sys
sys.modules["spacy"] = None  # as where it is not installed
from tacit.words import weigh
assert weigh("a dog in Paris")[-1].weight >= 1.4
assert not {"torch", "numpy", "sklearn"} & sys.modules.keys(), "heavy"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


# --- names


def test_rules_where_spacy_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    assert names.Recognizer().about == "rules"
    for asked in ("package", "en_core_web_sm"):
        with pytest.raises(MissingExtra, match=r"tacit\[ner\]"):
            names.Recognizer(asked)


spacy: Any = pytest.importorskip("spacy") if importlib.util.find_spec("spacy") else None
needs_spacy = pytest.mark.skipif(spacy is None, reason="the extra tacit[ner] is not installed")


@needs_spacy
@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (["en_core_web_sm", "en_core_web_lg", "de_core_news_sm"], "en_core_web_lg"),
        (["en_core_web_trf", "en_core_web_md"], "en_core_web_md"),
        (["en_core_web_trf"], "en_core_web_trf"),
        (["de_core_news_lg"], names.PACKAGE),
    ],
)
def test_auto_takes_the_best_pipeline(monkeypatch: pytest.MonkeyPatch, installed: list[str], expected: Any) -> None:
    loaded = []

    def load(source: Any) -> Any:
        loaded.append(source)
        return spacy.blank("en")

    monkeypatch.setattr(spacy.util, "get_installed_models", lambda: installed)
    monkeypatch.setattr(spacy, "load", load)
    names.Recognizer()
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


# --- the pipeline in the package


@needs_spacy
def test_the_pipeline_in_the_package_is_small_and_has_a_card() -> None:
    assert sum(p.stat().st_size for p in names.PACKAGE.rglob("*") if p.is_file()) <= 8_000_000
    card = json.loads((names.PACKAGE / "meta.json").read_text())
    assert card["license"] == "CC BY 4.0"
    assert {s["license"] for s in card["sources"]} == {"CC BY 4.0"}
    assert {"wikigold", "wnut17", "btc", "uner_ewt"} == card["performance"].keys()
    assert (ROOT / card["recipe"].split()[0]).is_file()


@needs_spacy
def test_the_pipeline_in_the_package_finds_names() -> None:
    recognizer = names.Recognizer("package")
    caption = "Tourists from Germany look at a portrait of Barack Obama in London"
    found = {caption[n.start : n.end]: n.kind for n in recognizer(caption)}
    assert found.get("Barack Obama") == "PER"
    assert found.get("London") == "LOC"
    assert recognizer(caption) == recognizer(caption)
    long = "A photograph of London. " * 3000
    assert len(recognizer(long)) >= 2900
    assert all("London" in long[n.start : n.end] for n in recognizer(long[:60_000]))


@needs_spacy
def test_the_card_says_how_good_it_is(data_folder: Path) -> None:
    corpus = data_folder / "text" / "ner"
    if not corpus.is_dir():
        pytest.skip("no corpora of names in the data folder")
    ner: Any = importlib.import_module("scripts.ner")
    nlp = spacy.load(names.PACKAGE)
    for name in ("uner_ewt", "wikigold"):
        found = ner.scores(nlp, ner.corpora(corpus)[name].test)
        assert found["f"] == pytest.approx(nlp.meta["performance"][name]["f"], abs=0.3), name


@needs_spacy
def test_a_damaged_package_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(names, "PACKAGE", tmp_path)
    with pytest.raises(CorruptWeights, match="reinstall"):
        names.Recognizer("package")


def test_weigh_is_the_short_way() -> None:
    assert weigh("a dog in Oslo", names="rules") == Weigher("rules")("a dog in Oslo")


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
