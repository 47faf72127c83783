from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.finding.phrases import phrases_of


def test_phrase_is_taken_apart() -> None:
    (phrase,) = phrases_of("the small red fire hydrant at the lower left")
    assert phrase.head == "hydrant"
    assert phrase.names[-2:] == ("fire hydrant", "hydrant")
    assert phrase.colours == (("red", 1.0),)
    assert phrase.places == ("lower", "left")
    assert not phrase.many


@pytest.mark.parametrize(
    ("caption", "heads"),
    [
        ("a photo of a boat", ["boat"]),
        ("there is a boat", ["boat"]),
        ("a group of hats on the side of a wall", ["hat"]),
        ("a dog and a cat", ["dog", "cat"]),
        ("A man rides a horse, a barn behind him.", ["man", "horse", "barn"]),
        ("a red and white ball", ["ball"]),
        ("a red, white and blue flag", ["flag"]),
        ("two women riding bikes", ["woman", "bike"]),
        ("the two sailors", ["sailor"]),
        ("a red boat on a lake and two dogs", ["boat", "dog"]),
        ("a man on a horse and a dog", ["man", "dog"]),
        ("a man in a red hat and a blue dress", ["man"]),
        ("a dog between a cat and a cow", ["dog"]),
        ("people having fun", ["person", "fun"]),
        ("it is there", []),
        ("", []),
    ],
)
def test_captions_are_cut_into_things(caption: str, heads: list[str]) -> None:
    assert [phrase.head for phrase in phrases_of(caption)] == heads


def test_colours_of_clothes_count_less_than_own_ones() -> None:
    (own,) = phrases_of("the red hat")
    (worn,) = phrases_of("the man in red trunks")
    (alone,) = phrases_of("the sailor in yellow")
    assert dict(own.colours)["red"] > dict(worn.colours)["red"] > 0
    assert dict(alone.colours) == {"yellow": dict(worn.colours)["red"]}


@pytest.mark.parametrize("text", ["the front wheel of the green motorcycle", "the green motorcycle's front wheel"])
def test_part_knows_its_whole(text: str) -> None:
    (phrase,) = phrases_of(text)
    assert phrase.head == "wheel"
    assert phrase.whole is not None
    assert phrase.whole.head == "motorcycle"
    assert dict(phrase.whole.colours) == {"green": 1.0}


def test_numbers_and_several_of_a_kind() -> None:
    (number,) = phrases_of("the number 63455 on the sail")
    assert number.numbers == ("63455",)
    assert number.near[0].head == "sail"
    (several,) = phrases_of("three white boats")
    assert several.many


@given(st.text(max_size=80))
def test_any_text_is_read(caption: str) -> None:
    for phrase in phrases_of(caption):
        assert phrase.text in caption


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("the boat on the far right", ("right",)),
        ("the boat in the lower left corner", ("lower", "left")),
        ("the bottom-right boat", ("bottom", "right")),
        ("the boat on the left-hand side", ("left",)),
        ("the boat at the left edge of the image", ("left",)),
        ("the leftmost of the three boats", ("leftmost",)),
        ("the boat to the left of the tree", ()),
        ("the boat with the white top", ()),
    ],
)
def test_places_in_the_frame_are_read(text: str, places: tuple[str, ...]) -> None:
    (phrase,) = phrases_of(text)
    assert (phrase.head, phrase.places, phrase.many) == ("boat", places, False)


@pytest.mark.parametrize(
    ("caption", "heads"),
    [
        ("a boat, no people", ["boat"]),
        ("a boat without sails", ["boat"]),
        ("a beach with no people or cars, and a dog", ["beach", "dog"]),
        ("not a dog", []),
        ("not only a boat but a lighthouse", ["boat", "lighthouse"]),
        ("a man not wearing a hat", ["man"]),
    ],
)
def test_what_is_said_not_to_be_there_is_not_named(caption: str, heads: list[str]) -> None:
    phrases = phrases_of(caption)
    assert [phrase.head for phrase in phrases] == heads
    assert not any(phrase.near or phrase.worn for phrase in phrases)
