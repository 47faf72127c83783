"""Train the small pipeline of named entities that comes with the package, with spaCy, on openly licensed corpora.

    pip install 'tacit[ner]'
    python scripts/ner.py DATA/text/ner

DATA/text/ner holds the corpora as their authors publish them, one folder each:

    wikigold    Wikipedia (Balasuriya et al. 2009), CC BY 4.0: the last tenth is for testing and the tenth before it for
                choosing; the rest is read twice in each epoch, because this corpus is the cleanest
    wnut17      posts in forums and on Twitter (Derczynski et al. 2017), CC BY 4.0: split as by its authors
    btc         the Broad Twitter Corpus (Derczynski et al. 2016), CC BY 4.0: section F for testing, half of H for
                choosing, the rest for training
    uner_ewt    Universal NER's English Web Treebank (Mayhew et al. 2024), CC BY-SA 4.0: for testing only

The labels are PER, LOC and ORG, which all four corpora share. Groups and corporations of wnut17 count as organisations.
The other labels (works, products, "miscellaneous") are left out, as are the user names (@somebody) that btc labels as
persons, in its test set too. A part of the sentences is read in lower case, as captions often are. The result is a
folder that `spacy.load` reads, src/tacit/words/ner, whose meta.json is its card: recipe, sources, terms, and precision,
recall and F1 on each test set.

The training is deterministic on one machine and takes a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc
from spacy.training import Example, biluo_tags_to_spans, iob_to_biluo
from spacy.util import compounding, fix_random_seed, minibatch  # type: ignore[attr-defined]

OUT = Path(__file__).resolve().parents[1] / "src" / "tacit" / "words" / "ner"
LABELS = {"PER": "PER", "LOC": "LOC", "ORG": "ORG"} | {
    "person": "PER",
    "location": "LOC",
    "group": "ORG",
    "corporation": "ORG",
}
WIDTH, DEPTH = 64, 3
FEATURES = {"NORM": 2500, "PREFIX": 700, "SUFFIX": 1200, "SHAPE": 600}  # and the rows of the table of each
LOWERED = 0.15  # share of the sentences that are read in lower case

Sentence = tuple[tuple[str, ...], tuple[str, ...]]  # words, IOB tags


@dataclass(frozen=True)
class Split:
    """The sentences of a corpus, split for training, choosing and testing."""

    train: Sequence[Sentence] = ()
    choose: Sequence[Sentence] = ()
    test: Sequence[Sentence] = ()


def sentences(path: Path, column: int = 1, first: int = 0) -> Iterator[Sentence]:
    """Read a file with a word and a tag per line and a blank line after each sentence."""
    words: list[str] = []
    tags: list[str] = []
    for line in [*path.read_text("utf-8").splitlines(), ""]:
        fields = line.split("\t" if "\t" in line else " ")
        if first and line.startswith("#") and "\t" not in line:  # a comment, in files whose lines begin with numbers
            continue
        if len(fields) > column and fields[first].strip():
            words.append(fields[first].strip())
            kind, _, label = fields[column].strip().partition("-")
            user = words[-1][0] == "@" or words[-2:-1] == ["@"]
            tags.append(f"{kind}-{LABELS[label]}" if label in LABELS and not user else "O")
        elif not line.strip() and words:
            yield tuple(words), _begun(tags)
            words, tags = [], []


def _begun(tags: Sequence[str]) -> tuple[str, ...]:
    """Return tags in which each name begins with B, whatever the corpus's convention."""
    found = []
    last = "O"
    for tag in tags:
        found.append(f"B-{tag[2:]}" if tag[0] == "I" and last[2:] != tag[2:] else tag)
        last = tag
    return tuple(found)


def corpora(root: Path) -> dict[str, Split]:
    """Read and split the four corpora."""
    gold = list(sentences(root / "wikigold" / "wikigold.conll.txt"))
    btc = {name: list(sentences(root / "btc" / f"{name}.conll")) for name in "abefgh"}
    half, tenth = len(btc["h"]) // 2, len(gold) // 10
    wnut = root / "wnut17"
    return {
        "wikigold": Split(gold[: -2 * tenth] * 2, gold[-2 * tenth : -tenth], gold[-tenth:]),
        "wnut17": Split(
            train=list(sentences(wnut / "wnut17train.conll")),
            choose=list(sentences(wnut / "emerging.dev.conll")),
            test=list(sentences(wnut / "emerging.test.annotated")),
        ),
        "btc": Split(
            train=[*btc["a"], *btc["b"], *btc["e"], *btc["g"], *btc["h"][:half]],
            choose=btc["h"][half:],
            test=btc["f"],
        ),
        "uner_ewt": Split(test=list(sentences(root / "uner_ewt" / "en_ewt-ud-test.iob2", column=2, first=1))),
    }


def blank() -> Any:
    """Return the untrained pipeline: hashed features of a word, three convolutions over its neighbours, transitions."""
    nlp = spacy.blank("en")
    tok2vec = {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": {
            "@architectures": "spacy.MultiHashEmbed.v2",
            "width": WIDTH,
            "attrs": list(FEATURES),
            "rows": list(FEATURES.values()),
            "include_static_vectors": False,
        },
        "encode": {
            "@architectures": "spacy.MaxoutWindowEncoder.v2",
            "width": WIDTH,
            "window_size": 1,
            "maxout_pieces": 3,
            "depth": DEPTH,
        },
    }
    model = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": True,
        "tok2vec": tok2vec,
    }
    nlp.add_pipe("ner", config={"model": model})
    return nlp


def examples(nlp: Any, given: Sequence[Sentence]) -> list[Example]:
    """Return sentences in the form in which spaCy learns from them and is scored on them."""
    found = []
    for words, tags in given:
        gold = Doc(nlp.vocab, words=list(words))
        gold.ents = biluo_tags_to_spans(gold, iob_to_biluo(tags))
        found.append(Example(Doc(nlp.vocab, words=list(words)), gold))
    return found


def scores(nlp: Any, given: Sequence[Sentence]) -> dict[str, float]:
    """Return precision, recall and F1 of whole names with their labels, in percent."""
    found = nlp.evaluate(examples(nlp, given))
    return {name: round(100 * (found[f"ents_{name}"] or 0), 1) for name in ("p", "r", "f")}


def train(
    nlp: Any, given: Sequence[Sentence], choose: Sequence[Sentence], epochs: int, say: Callable[[str], object]
) -> bytes:
    """Train and return the recognizer that did best on `choose`, by each epoch's averaged weights."""
    rng = random.Random(0)
    lowered = [(tuple(w.lower() for w in words), tags) for words, tags in given]
    plain, low = examples(nlp, given), examples(nlp, lowered)
    optimizer = nlp.initialize(lambda: plain)
    best, kept = -1.0, b""
    sizes = compounding(16.0, 128.0, 1.002)
    for epoch in range(epochs):
        order = [low[i] if rng.random() < LOWERED else plain[i] for i in range(len(plain))]
        rng.shuffle(order)
        losses: dict[str, float] = {}
        for batch in minibatch(order, sizes):  # type: ignore[no-untyped-call]
            nlp.update(batch, sgd=optimizer, drop=0.3, losses=losses)
        with nlp.use_params(optimizer.averages):
            score = scores(nlp, choose)["f"]
            if score > best:
                best, kept = score, nlp.get_pipe("ner").to_bytes(exclude=["vocab"])
        say(f"epoch {epoch + 1}: loss {losses['ner']:.0f}, F1 {score}")
    return kept


def main() -> None:
    """Train, test and write the pipeline."""
    parser = argparse.ArgumentParser(description="Train the package's small pipeline of named entities.")
    parser.add_argument("data", type=Path, help="folder of wikigold, wnut17, btc and uner_ewt")
    parser.add_argument("-o", "--output", type=Path, default=OUT)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    fix_random_seed(0)

    found = corpora(options.data)
    nlp = blank()
    kept = train(
        nlp,
        [s for split in found.values() for s in split.train],
        [s for split in found.values() for s in split.choose],
        options.epochs,
        lambda line: print(line, flush=True),
    )
    write(kept, found, options.output, f"scripts/ner.py --epochs {options.epochs}")


def write(kept: bytes, found: Mapping[str, Split], output: Path, recipe: str) -> None:
    """Test a trained recognizer, and write its pipeline with its card."""
    nlp = blank()
    nlp.get_pipe("ner").from_bytes(kept, exclude=["vocab"])
    performance = {name: scores(nlp, split.test) for name, split in found.items()}
    # A new one takes the weights, so that the corpora's words, which it need not know, stay out of its vocabulary.
    nlp = blank()
    nlp.get_pipe("ner").from_bytes(kept, exclude=["vocab"])
    nlp.meta |= {
        "name": "tacit_names",
        "version": "1.0.0",
        "description": "Names of persons, places and organisations, for weighing the words of captions",
        "license": "CC BY 4.0",
        "sources": [
            {"name": "Wikigold", "license": "CC BY 4.0", "author": "Balasuriya, Ringland, Nothman, Murphy, Curran"},
            {"name": "WNUT 2017", "license": "CC BY 4.0", "author": "Derczynski, Nichols, van Erp, Limsopatham"},
            {"name": "Broad Twitter Corpus", "license": "CC BY 4.0", "author": "Derczynski, Bontcheva, Roberts"},
        ],
        "performance": performance,
        "recipe": recipe,
        "sentences": {name: [len(s.train), len(s.choose), len(s.test)] for name, s in found.items()},
        "made_on": f"{platform.machine()}, spaCy {importlib.metadata.version('spacy')}",
    }
    shutil.rmtree(output, ignore_errors=True)
    nlp.to_disk(output)
    size = sum(p.stat().st_size for p in output.rglob("*") if p.is_file())
    print(json.dumps(nlp.meta["performance"], indent=1), f"{size:,} bytes", sep="\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
