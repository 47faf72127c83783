"""Captions cut into the phrases that name things, and each phrase taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from tacit.finding.vocabulary import (
    BESIDE_PLACES,
    CLOTHES,
    COLOURS,
    IMAGE,
    IRREGULAR,
    NEGATIONS,
    PARTS,
    PEOPLE,
    PLACES,
    VERBS,
    WEAK_COLOURS,
    WEARING,
)
from tacit.words.english import DETERMINERS, FUNCTION, GENERAL, NUMBERS, PREPOSITIONS, Token, tokenize
from tacit.words.english import singular as regular_singular
from tacit.words.table import NOUN, WordTable, read_table

OWN, WORN, NEAR = 1.0, 0.6, 0.4  # how much a colour counts by whose it is: the thing's, what it wears, what is near
WEAK = 0.5  # and a material's colour, beside that
_MANY = (DETERMINERS & frozenset("these those some both several many few all".split())) | NUMBERS - {"one"}
_GROUPS = frozenset("group herd flock row line stack pile bunch pair couple set crowd lot number field".split())
_LONGEST = 2000  # words of a caption that are read


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """What a caption says of one thing, or of several of one kind."""

    text: str
    """The words as the caption has them."""
    head: str
    """The noun, in the singular; empty where the phrase is a colour or place alone."""
    names: tuple[str, ...] = ()
    """What the thing may be called, most specific first: "fire hydrant", "hydrant"."""
    colours: tuple[tuple[str, float], ...] = ()
    """The colours that are named, each with how much it counts; not those of what the thing is a part of."""
    places: tuple[str, ...] = ()
    """Where in the frame the thing is."""
    attributes: tuple[str, ...] = ()
    """The other words before the noun."""
    numbers: tuple[str, ...] = ()
    """The digits that are named."""
    many: bool = False
    """Whether there are several of the kind."""
    whole: Phrase | None = None
    """What the thing is a part of."""
    worn: tuple[Phrase, ...] = ()
    """What the thing wears, has or holds."""
    near: tuple[Phrase, ...] = ()
    """What the thing is on, at or near."""


@dataclass(kw_only=True)
class _Chunk:
    """Words with no preposition or verb between them."""

    words: list[Token]
    link: str
    """What joins it to what is before: nothing, "and", "'s" or a preposition."""
    many: bool = False
    determined: bool = False
    absent: bool = False
    """Whether the caption says that it is not there."""


def singular(word: str) -> str:
    """Return a noun's singular as far as rules can tell; other words as they are."""
    return IRREGULAR.get(word) or regular_singular(word) or word


def phrases_of(caption: str) -> tuple[Phrase, ...]:
    """Return the things that a caption names, in order.

    "a photo of" and "there is" name nothing. What a thing wears, where it is and what it is near belong to its phrase;
    behind a verb, a comma or "and" begins another one. What is not there ("no people", "without sails") is left out.
    """
    things: list[Phrase] = []
    for clause in _clauses(_chunks(tokenize(caption)[:_LONGEST])):
        phrase = _assembled(caption, clause)
        if phrase is not None and all(phrase.text.lower() != thing.text.lower() for thing in things):
            things.append(phrase)
    return tuple(things)


def _chunks(words: Sequence[Token]) -> list[_Chunk]:
    """Return the words that name something, in runs, each with what joins it to the one before."""
    chunks = [_Chunk(words=[], link="")]

    def begin(link: str, many: bool = False, determined: bool = False) -> None:
        if not chunks[-1].words:  # of several words that join, the last one counts, but none undoes a new clause
            before = chunks.pop()
            link = before.link if link == "" and before.link != "and" else link
            many, determined = many or before.many, determined or before.determined
        chunks.append(_Chunk(words=[], link=link, many=many, determined=determined))

    last: Token | None = None
    for word in words:
        key, chunk = word.key, chunks[-1]
        if last is not None and not word.joined and _is_apart(last, word):
            begin("and" if _is_modifier(last.key) else "break")
        if key in NEGATIONS:
            begin("break")
            chunks[-1].absent = True
        elif key in ("and", "or"):
            begin("and")
        elif key in WEARING or key in PREPOSITIONS:
            is_denied = chunk.absent and not chunk.words  # "not wearing"
            begin(key)
            chunks[-1].absent = is_denied
        elif key in DETERMINERS:
            if chunk.words:
                begin("break", many=key in _MANY, determined=True)
            chunks[-1].many |= key in _MANY
            chunks[-1].determined = True
        elif key in FUNCTION or _is_verb(word, chunk):
            begin("break")
        else:
            chunk = chunks[-1]
            chunk.words.append(word)
            if word.text.lower().endswith(("'s", "\u2019s")):
                begin("'s")
        last = word
    named = [chunk for chunk in chunks if chunk.words]
    for before, chunk in pairwise(named):
        chunk.absent |= before.absent and chunk.link == "and" and not chunk.determined  # "no people or cars"
    return [chunk for chunk in named if not chunk.absent]


def _clauses(chunks: Sequence[_Chunk]) -> Iterator[list[_Chunk]]:
    """Yield the chunks of each thing that is named, that of the thing itself first."""
    clause: list[_Chunk] = []
    skipped = ""
    many = False
    for number, chunk in enumerate(chunks):
        after = chunks[number + 1] if number + 1 < len(chunks) else None
        general = all(word.key in GENERAL or word.key in _GROUPS or word.key in NUMBERS for word in chunk.words)
        of_image = after is not None and all(word.key in IMAGE for word in after.words)  # "the left edge of the image"
        if general and after is not None and after.link in ("of", "to") and not (of_image or _names_a_part(chunk)):
            # "a group of hats", "in front of a window": what counts is behind it
            skipped = skipped or (chunk.link if chunk.link in ("", "break", "and") else "near")
            many |= any(word.key in _GROUPS for word in chunk.words)
            continue
        link = skipped or chunk.link
        chunk.many |= many
        skipped, many = "", False
        if link == "and" and clause and _only_modifiers(clause[-1]) and not chunk.determined:
            clause[-1].words += chunk.words
            clause[-1].many |= chunk.many
            continue
        if link == "and" and clause and clause[-1].link not in ("", "'s") and not _is_another(chunk, clause[-1].link):
            link = clause[-1].link
        elif link in ("", "break", "and"):
            if clause:
                yield clause
            clause, link = [], ""
        chunk.link = link if clause else ""
        clause.append(chunk)
    if clause:
        yield clause


def _is_another(chunk: _Chunk, link: str) -> bool:
    """Return whether what stands behind "and" is another thing, and not one more that the thing before wears or is at.

    "a boat on a lake and two dogs" names two things, "a boat between the dogs and cats" one, "a man in a red hat and a
    blue dress" one.
    """
    counted = chunk.determined or any(word.key in NUMBERS for word in chunk.words)
    return (
        counted
        and not (link in WEARING and any(singular(word.key) in CLOTHES for word in chunk.words))
        and link != "between"
    )


def _assembled(caption: str, clause: Sequence[_Chunk]) -> Phrase | None:
    """Return the phrase of a thing from its chunk and those that belong to it."""
    first, *rest = clause
    whole: Phrase | None = None
    while rest and rest[0].link == "'s":
        whole = _plain(caption, first)
        first, *rest = rest
    phrase = _plain(caption, first)
    worn: list[Phrase] = []
    near: list[Phrase] = []
    places = list(phrase.places)
    for number, chunk in enumerate(rest):
        other = _plain(caption, chunk)
        if chunk.link == "of" and number == 0 and (phrase.head in PARTS or not phrase.head):
            whole = other
        elif _is_place(other) and chunk.link not in WEARING - {"in"}:
            places += other.places
        elif chunk.link in WEARING and not (chunk.link == "in" and other.head and not _is_worn(other)):
            worn.append(other)
        else:
            near.append(other)
    if whole is not None and not phrase.head:
        is_one = any(place.endswith("most") for place in phrase.places)  # "the leftmost of the boats"
        return replace(whole, places=phrase.places + whole.places, many=False) if is_one else whole
    if _is_participle(phrase.head) or not (phrase.head or phrase.colours or phrase.numbers):
        return None
    colours = dict(phrase.colours)
    for others, factor in ((worn, WORN), (near, NEAR)):
        for other in others:
            for colour, weight in other.colours:
                colours.setdefault(colour, weight * factor)
    last = rest[-1] if rest else first
    return Phrase(
        text=caption[clause[0].words[0].start : last.words[-1].end],
        head=phrase.head,
        names=phrase.names,
        colours=tuple(colours.items()),
        places=tuple(dict.fromkeys(places)),
        attributes=phrase.attributes,
        numbers=phrase.numbers,
        many=phrase.many,
        whole=whole,
        worn=tuple(worn),
        near=tuple(near),
    )


def _plain(caption: str, chunk: _Chunk) -> Phrase:
    """Return the phrase of a chunk by itself."""
    keys = [word.key for word in chunk.words]
    numbers = tuple(key for key in keys if key.isdigit())
    located = keys[:-1] if _is_garment(keys) else keys
    places = tuple(part for key in located for part in key.split("-") if part in PLACES)
    colours: dict[str, float] = {}
    for key in keys:
        for part in key.split("-"):
            if part in COLOURS:
                weight = OWN * (WEAK if part in WEAK_COLOURS else 1)
                colours[COLOURS[part]] = max(weight, colours.get(COLOURS[part], 0.0))
    nouns = [key for key in located if not (_is_modifier(key) or _tells_place(key))] + keys[len(located) :]
    nouns = [key for key in nouns if not (key.isdigit() or key in NUMBERS)]
    nouns = [key for key in nouns if key not in GENERAL or key in PARTS or key in PEOPLE]
    head = singular(nouns[-1]) if nouns else ""
    names = tuple(" ".join([*nouns[i:-1], head]) for i in range(max(0, len(nouns) - 3), len(nouns)))
    return Phrase(
        text=caption[chunk.words[0].start : chunk.words[-1].end],
        head=head,
        names=names,
        colours=tuple(colours.items()),
        places=places,
        attributes=tuple(nouns[:-1]),
        numbers=numbers,
        many=chunk.many or bool(nouns and head != nouns[-1]),
    )


def _is_apart(before: Token, word: Token) -> bool:
    """Return whether punctuation is between two words."""
    return word.initial or word.start - before.end > 1


def _is_verb(word: Token, chunk: _Chunk) -> bool:
    """Return whether a word behind a noun is a verb: "a boat floating", not "a floating boat"."""
    if not chunk.words:
        return word.key in VERBS
    if _only_modifiers(chunk) or _is_modifier(word.key):
        return False
    return word.key in VERBS or _is_participle(word.key)


def _is_participle(key: str) -> bool:
    """Return whether a word is "riding" or "parked" rather than a noun or an adjective of that form."""
    entry = _table()[key]
    return key.endswith(("ing", "ed")) and (entry is None or entry.noun < NOUN)


def _is_modifier(key: str) -> bool:
    return all(part in COLOURS for part in key.split("-"))


def _tells_place(key: str) -> bool:
    """Return whether a word is "left", "bottom-right" or "left-hand"."""
    parts = key.split("-")
    return parts[0] in PLACES and all(part in PLACES or part in BESIDE_PLACES for part in parts)


def _is_place(phrase: Phrase) -> bool:
    """Return whether a phrase behind a preposition says where in the frame the thing is, and no more."""
    beside = all(word in BESIDE_PLACES for word in (*phrase.attributes, phrase.head) if word)
    return bool(phrase.places) and beside and not phrase.colours


def _is_garment(keys: Sequence[str]) -> bool:
    """Return whether the last word is what is worn although it may be a place: "the white tank top"."""
    return len(keys) > 1 and keys[-1] in CLOTHES and not _tells_place(keys[-2])


def _only_modifiers(chunk: _Chunk) -> bool:
    return all(_is_modifier(word.key) for word in chunk.words)


def _names_a_part(chunk: _Chunk) -> bool:
    """Return whether a chunk such as "the front" is itself what is named: it begins its clause."""
    return chunk.link in ("", "break") and singular(chunk.words[-1].key) in PARTS


def _is_worn(phrase: Phrase) -> bool:
    """Return whether a phrase behind "in" is something that is worn: it is in no place, and not a wide scene."""
    return phrase.head in CLOTHES


@lru_cache(maxsize=1)
def _table() -> WordTable:
    return read_table()
