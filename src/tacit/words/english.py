"""The words of a caption, and the few English words that weighing must know by itself.

Where no pipeline of spaCy recognises phrases and names, these rules alone do.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

NUMBERS = frozenset("one two three four five six seven eight nine ten eleven twelve dozen hundred thousand".split())
DETERMINERS = NUMBERS | frozenset(
    "a an the this these those some any each every another no both several many few all his her their its my your "
    "our".split()
)
PREPOSITIONS = frozenset(
    "of in on at with without by from to for into onto near under over behind beside between among through across "
    "along around against above below inside outside atop toward towards up down off about during beneath underneath "
    "beyond past next as like within upon amid amidst amongst alongside throughout than".split()
)
CLOSERS = PREPOSITIONS | frozenset("is are was were be has have that which who while but can".split())
"""Words that follow a noun phrase, where punctuation does not; without "and", for "a red and white ball"."""

FUNCTION = (
    CLOSERS
    | (DETERMINERS - NUMBERS)
    | frozenset(
        "and or nor so if because since although though whether i me mine myself you yours yourself he him himself she "
        "hers herself it itself we us ours ourselves they them theirs themselves what whose whom where when why how "
        "there here then am been being do does did doing done has had having could may might must shall should will "
        "would not only also just very too quite rather more most much less least such same own other others else each "
        "either neither yes i'm i've he's she's it's that's there's who's what's they're we're you're isn't aren't "
        "wasn't weren't don't doesn't didn't can't couldn't won't wouldn't shouldn't hasn't haven't hadn't let's let "
        "ones something someone somebody anything anyone everything everyone nothing".split()
    )
)
"""Words that hold a sentence together and name nothing."""

GENERAL = frozenset(
    "front back top bottom side sides middle center centre left right end edge part lot lots bunch couple kind kinds "
    "type types sort sorts piece pieces pair set way number variety different various several background foreground "
    "distance area thing things view close-up closeup close picture pictures photo photos photograph photographs image "
    "images shot scene out away together once twice".split()
)
"""Nouns and adverbs that captions of anything have: places in the frame, amounts, words for the image itself."""

TITLES = frozenset("mr mrs ms dr st mt prof jr sr no vs".split())
"""Abbreviations whose full stop ends no sentence."""

JOINERS = frozenset("of the de la le du des von van der da di del el al and & 's".split())
"""Small words inside names: Statue of Liberty."""

_WORD = re.compile(
    r"(?:[^\W\d_]\.){2,}"  # U.S.
    r"|[^\W_](?:[^\W_]|[\u0300-\u036f]|['\u2019\-\u2010\u2011&](?=[^\W_])|(?<=\d)[.,:](?=\d))*"
)
_POSSESSIVE = re.compile(r"'s$")
_OPENING, _CLOSING = '"\u201c\u201e\u00ab', '"\u201d\u201c\u00bb'
_QUOTED = 60  # characters between two quotation marks, at most


@dataclass(frozen=True, kw_only=True)
class Token:
    """A word of a caption."""

    text: str
    """The word as the caption has it."""
    start: int
    """The position of its first character."""
    end: int
    """The position behind its last character."""
    key: str
    """The word as tables have it."""
    initial: bool
    """Whether it begins a sentence."""
    joined: bool
    """Whether nothing but blanks is between it and the word before."""
    quoted: bool
    """Whether it stands in double quotation marks."""

    @property
    def capital(self) -> bool:
        """Whether the word begins with a capital letter."""
        return self.text[0] != self.text[0].lower()


def key_of(text: str) -> str:
    """Return a word as tables have it: composed, in lower case, with plain apostrophes and hyphens, without 's."""
    key = unicodedata.normalize("NFC", text).lower().replace("\u2019", "'")
    key = key.replace("\u2010", "-").replace("\u2011", "-")
    return key if key in FUNCTION else _POSSESSIVE.sub("", key)


def tokenize(caption: str) -> list[Token]:
    """Return the words of a caption, in order."""
    quoted = _quotations(caption)
    words: list[Token] = []
    last, quotation, initial = 0, 0, True
    for match in _WORD.finditer(caption):
        start, end = match.span()
        gap = caption[last:start]
        if words:
            before = words[-1]
            stop = any(c in gap for c in "!?:;\n\u2022\u3002")
            if not stop and "." in gap:
                stop = before.key not in TITLES and not (len(before.text) == 1 and before.capital)
            initial = stop
        while quotation < len(quoted) and quoted[quotation][1] < end:
            quotation += 1
        inside = quotation < len(quoted) and quoted[quotation][0] < start
        word = Token(
            text=match[0],
            start=start,
            end=end,
            key=key_of(match[0]),
            initial=initial,
            joined=bool(words) and not gap.strip(),
            quoted=inside,
        )
        words.append(word)
        last = end
    return words


def _quotations(caption: str) -> list[tuple[int, int]]:
    """Return the positions of the double quotation marks around each piece of quoted text."""
    quotations: list[tuple[int, int]] = []
    opened: int | None = None
    for place, character in enumerate(caption):
        if opened is not None and place - opened > _QUOTED:
            opened = None
        if opened is not None and character in _CLOSING:
            quotations.append((opened, place))
            opened = None
        elif opened is None and character in _OPENING:
            opened = place
    return quotations


def singular(key: str) -> str | None:
    """Return the singular that a word may be the plural of, for a look at the table; None where it is no plural."""
    if len(key) < 4 or not key.endswith("s") or key.endswith(("ss", "us", "is")):
        return None
    if key.endswith("ies"):
        return f"{key[:-3]}y"
    return key[:-2] if key.endswith(("ches", "shes", "xes", "sses", "zes")) else key[:-1]
