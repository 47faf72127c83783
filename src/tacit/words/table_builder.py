"""The making of tables of words from captions, with scikit-learn.

A word's inverse document frequency is scikit-learn's. What a word is, is read off its neighbours, because no tagger is
at hand: what stands between a determiner, preposition or adjective and a preposition, an "is" or a full stop ends a
noun phrase; what stands behind a determiner but seldom ends a phrase is an adjective. Two words belong together where
they occur next to each other much more often than chance has it and end noun phrases as a pair.
"""

from __future__ import annotations

import gzip
import importlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tacit.errors import InvalidInput, MissingExtra
from tacit.words.english import CLOSERS, DETERMINERS, FUNCTION, GENERAL, PREPOSITIONS, Token, tokenize
from tacit.words.table import FORMAT

LEAST = 3  # captions that have a word, for it to be in a table
LEAST_PAIRS = 5  # the same for two words
TOGETHER = 0.5  # normalised pointwise mutual information of two words that belong together
END = "|"  # in place of punctuation


def build_table(captions: Iterable[str], card: Mapping[str, Any]) -> bytes:
    """Return the file of a table; the same captions give the same bytes.

    Args:
        captions: The corpus; repeated captions count once.
        card: What the table's first line says of its making, besides its format and its size.

    Raises:
        MissingExtra: scikit-learn is not installed.
        InvalidInput: There are too few captions.
    """
    texts = list(dict.fromkeys(captions))
    parsed = [tokenize(text) for text in texts]
    counts = _Counts([_sequence(caption) for caption in parsed])
    names = _name_shares(parsed)
    pairs = counts.pairs()
    terms = sorted({w for w, n in counts.captions.items() if n >= LEAST} | pairs.keys())
    if not terms:
        raise InvalidInput(f"a corpus must have a word that {LEAST} captions share, got {len(texts)} captions")
    idf = _idf(parsed, terms)
    lines = [json.dumps({"format": FORMAT, "captions": len(texts), "terms": len(terms), **card})]
    for term, value in zip(terms, idf, strict=True):
        noun = pairs[term] if term in pairs else counts.noun_share(term)
        lines.append(f"{term}\t{value:.3f}\t{100 * noun:.0f}\t{100 * names.get(term, 0):.0f}")
    return gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0)


def _idf(parsed: Sequence[Sequence[Token]], terms: Sequence[str]) -> list[float]:
    try:
        text: Any = importlib.import_module("sklearn.feature_extraction.text")
    except ImportError as error:
        raise MissingExtra("building a table of words needs scikit-learn: pip install 'tacit[words]'") from error
    return list(text.TfidfVectorizer(analyzer=_terms, vocabulary=terms).fit(parsed).idf_)


def _terms(caption: Sequence[Token]) -> Iterator[str]:
    """Yield the words of a caption, the parts of those with hyphens, and each two with only a blank between them."""
    for i, token in enumerate(caption):
        yield token.key
        if "-" in token.key:
            yield from token.key.split("-")
        if i and token.joined:
            yield f"{caption[i - 1].key} {token.key}"


def _sequence(caption: Sequence[Token]) -> list[str]:
    """Return the words' keys, with END where punctuation is, and at the end."""
    keys: list[str] = []
    for token in caption:
        keys += [token.key] if token.joined or not keys else [END, token.key]
    return [*keys, END]


def _name_shares(parsed: Sequence[Sequence[Token]]) -> dict[str, float]:
    """Return, for words inside sentences, the share that begin with a capital; that of rare words leans to none."""
    total: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    for caption in parsed:
        inside = [t for t in caption if not t.initial]
        if sum(t.capital for t in inside) <= len(inside) / 2:  # else capitals mean nothing there
            total.update(t.key for t in inside)
            capital.update(t.key for t in inside if t.capital)
    return {key: count / (total[key] + 1) for key, count in capital.items()}


class _Counts:
    """Occurrences of words, and how many of them end a noun phrase."""

    def __init__(self, sequences: Sequence[list[str]]) -> None:
        self._sequences = sequences
        self.total: Counter[str] = Counter()
        self.captions: Counter[str] = Counter()
        for keys in sequences:
            words = [k for k in keys if k != END]
            self.total.update(words)
            self.captions.update({part for k in words for part in (k, *k.split("-"))} - {""})
        self._modifiers: set[str] = set()
        ends, inner = self._ends()
        self._modifiers = {
            word
            for word, count in inner.items()
            if count > 0.15 * self.total[word] > 1.5 * ends[word] and word not in FUNCTION and not word.endswith("ing")
        }
        self._heads, self._inner = self._ends()

    def _ends(self) -> tuple[Counter[str], Counter[str]]:
        """Count how often each word ends a phrase, and how often it follows a determiner without ending a phrase."""
        ends: Counter[str] = Counter()
        inner: Counter[str] = Counter()
        for keys in self._sequences:
            for before, word, after in zip([END, *keys], keys, keys[1:], strict=False):
                closed = self._closes(after)
                ends[word] += self._opens(before) and closed
                inner[word] += before in DETERMINERS and not closed and after not in DETERMINERS
        return ends, inner

    def _opens(self, word: str) -> bool:
        return word in DETERMINERS or word in PREPOSITIONS or word in self._modifiers

    def _closes(self, word: str) -> bool:
        return word == END or word in CLOSERS

    def noun_share(self, word: str) -> float:
        """Return the share of a word's occurrences that end a noun phrase; rare words lean to that of any word."""
        return min(1.0, (self._heads[word] + 0.3) / (self.total[word] + 2))

    def pairs(self) -> dict[str, float]:
        """Return pairs of words that belong together, with the share of their occurrences that end a noun phrase.

        Words that seldom stand alone ("hydrant") become nouns by their pairs.
        """
        total: Counter[tuple[str, str]] = Counter()
        ends: Counter[tuple[str, str]] = Counter()
        known = {w for w, n in self.total.items() if n >= LEAST_PAIRS and w not in FUNCTION and w not in GENERAL}
        known -= {END, *DETERMINERS}
        for keys in self._sequences:
            for i in range(len(keys) - 1):
                pair = keys[i], keys[i + 1]
                if pair[0] in known and pair[1] in known:
                    total[pair] += 1
                    ends[pair] += self._opens(keys[i - 1] if i else END) and self._closes(keys[i + 2])
        words = sum(self.total.values())
        shares: dict[str, float] = {}
        more: Counter[str] = Counter()
        for pair, count in total.items():
            if count < LEAST_PAIRS:
                continue
            chance = self.total[pair[0]] * self.total[pair[1]] / words
            information = math.log(count / chance) / math.log(words / count)
            if information >= TOGETHER and self._is_phrase(*pair, count, ends[pair] / count):
                shares[" ".join(pair)] = ends[pair] / count
                more[pair[1]] += ends[pair]
        self._heads.update(more)
        return shares

    def _is_phrase(self, first: str, second: str, count: int, share: float) -> bool:
        """Return whether two words that occur together are a noun and what goes before it.

        They could also be a verb and its subject or object.

        Args:
            first: The first word.
            second: The second word.
            count: How often they occur together.
            share: The share of these occurrences that end a noun phrase.
        """
        before = max(self.noun_share(first), self._inner[first] / self.total[first])
        if before < 0.1 or second.endswith(("ly", "ing", "ed")):
            return False
        return share >= 0.1 if self.noun_share(second) >= 0.15 else share >= 0.5 and count >= 0.5 * self.total[second]
