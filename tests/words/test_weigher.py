"""Weights of words, by rule."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import InvalidInput
from tacit.words import Weigher, Word, weigh


@pytest.fixture(scope="module")
def by_rules() -> Weigher:
    return Weigher("rules")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TACIT_NAMES", raising=False)
    monkeypatch.delenv("TACIT_WORD_TABLE", raising=False)


def weights(words: tuple[Word, ...]) -> dict[str, float]:
    return {word.text: word.weight for word in words}


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


def test_weigh_is_the_short_way() -> None:
    assert weigh("a dog in Oslo", names="rules") == Weigher("rules")("a dog in Oslo")
