"""Proper names among the words of a caption: by the entities of a pipeline, by capitals, and by the table of words."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from tacit.words.english import DETERMINERS, FUNCTION, GENERAL, JOINERS, Token
from tacit.words.recognizer import NamedEntity
from tacit.words.table import NOUN, WordTable

ORDINARY = 0.3  # share of capitals below which a word of the table is no name by itself
NAME = 0.5  # and from which on it is one, if it begins with a capital
NAME_LOWER = 0.7  # and if it does not


def find_names(words: Sequence[Token], entities: Sequence[NamedEntity], table: WordTable) -> dict[int, str]:
    """Return which words belong to proper names.

    Args:
        words: The words of a caption.
        entities: What a pipeline found in it. It learnt from other texts than captions: a word that is neither
            capitalised inside a sentence nor unknown to the table is no name by the pipeline's word alone.
        table: Tells which words are commonly capitalised.

    Returns:
        The reason by the word's number: a label of the pipeline, "capitals" or "table".
    """
    meaningful = capitals_are_meaningful(words, table)
    capitals = meaningful and any(word.capital for word in words if not word.initial and word.key not in FUNCTION)
    kinds: dict[int, str] = {}
    starts, ends = [word.start for word in words], [word.end for word in words]
    for entity in entities:
        inside = range(bisect_right(ends, entity.start), bisect_left(starts, entity.end))
        content = [i for i in inside if words[i].key not in FUNCTION and not _is_ordinary_start(words[i], table)]
        if capitals:  # "an Asian dress" is no name of two words
            content = [i for i in content if words[i].capital or _may_be_name(words[i], table, meaningful)]
        if any(_may_be_name(words[i], table, meaningful) for i in content):
            kinds |= dict.fromkeys(content, entity.kind)
    if meaningful:
        for run in _capital_runs(words):
            run = run[_is_ordinary_start(words[run[0]], table) :]
            if len(run) > 1 or (run and _is_named(words[run[0]], table, NAME)):
                kinds |= {i: "capitals" for i in run if i not in kinds}
    for i, word in enumerate(words):
        # Captions in lower case, and beginnings of sentences.
        known = i not in kinds and table[word.key] is not None
        if known and word.key not in GENERAL and _is_named(word, table, NAME if word.capital else NAME_LOWER):
            kinds[i] = "table"
    return kinds


def capitals_are_meaningful(words: Sequence[Token], table: WordTable) -> bool:
    """Return whether a capital letter inside a sentence means anything.

    It does not where words that are no names have one too, as in headlines and in captions all of capitals.
    """
    ordinary = [w for w in words if not w.initial and not w.quoted and not _is_named(w, table, ORDINARY)]
    ordinary = [w for w in ordinary if w.key in FUNCTION or table[w.key] is not None]
    capital = sum(w.capital for w in ordinary)
    return capital < 3 or capital < 0.5 * len(ordinary)


def _is_ordinary_start(word: Token, table: WordTable) -> bool:
    """Return whether a word has a capital only because it begins a sentence, as in "Two Greek statues"."""
    entry = table[word.key]
    known = entry is not None and entry.noun < NOUN and entry.name < ORDINARY
    return word.initial and (known or word.key in DETERMINERS)


def _may_be_name(word: Token, table: WordTable, meaningful: bool) -> bool:
    if meaningful and word.capital and not word.initial:
        return True
    return _is_named(word, table, ORDINARY)


def _is_named(word: Token, table: WordTable, share: float) -> bool:
    """Return whether the table lacks a word, or has it with a capital in at least a share of its occurrences."""
    if word.key in FUNCTION or word.key.isdigit():
        return False
    entry = table[word.key]
    return entry is None or entry.name >= share


def _capital_runs(words: Sequence[Token]) -> Iterator[list[int]]:
    """Yield the numbers of words with a capital that follow each other, without the small words of names between them.

    A capital at the beginning of a sentence counts where another follows.
    """
    run: list[int] = []
    joining = False
    for i, word in enumerate(words):
        if run and not word.joined:
            yield from _unless_initial(run, words)
            run, joining = [], False
        if word.capital and word.key not in FUNCTION:
            run.append(i)
            joining = False
        elif run and not joining and word.key in JOINERS:
            joining = True  # one or two of them: Church of the Holy Sepulchre
        elif run and not (joining and word.key in JOINERS):
            yield from _unless_initial(run, words)
            run, joining = [], False
    yield from _unless_initial(run, words)


def _unless_initial(run: list[int], words: Sequence[Token]) -> Iterator[list[int]]:
    """Yield a run, unless it is empty or a single word that begins a sentence."""
    if run and not (len(run) == 1 and words[run[0]].initial):
        yield run
