"""`tacit weigh` and `tacit word-table`: which words of a caption matter, and the table of rare words behind that."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import click

from tacit import files
from tacit.cli.formatting import byte_size, json_line
from tacit.cli.group import command
from tacit.cli.options import check_new
from tacit.files import STDIO


@command.command(
    short_help="Show which words of a caption matter to the encoder.",
    epilog="""\b
Examples:
  tacit weigh "a golden retriever at the Eiffel Tower"
  tacit weigh "a red boat" "two dogs on a beach"
  tacit weigh --names rules --json - < captions.txt      one caption on each line
  tacit encode photo.jpg -c "..." --word-weights         encode with these weights
\b
Proper names are found by one of
  auto      the best en_core_web_* pipeline that is installed, otherwise package,
            otherwise rules
  package   the small spaCy pipeline in the package; pip install 'tacit[ner]'
  rules     capitals inside sentences, and what the table knows as names
or by another pipeline that spaCy can load, given by its name or folder.
""",
)
@click.argument("captions", metavar="CAPTION|- ...", nargs=-1, required=True)
@click.option(
    "--names", metavar="NAME", help="What finds proper names (see below).  [default: $TACIT_NAMES, else auto]"
)
@click.option(
    "--table",
    metavar="FILE",
    help="Table of rare words, made by `tacit word-table`.  [default: $TACIT_WORD_TABLE, else the one in the package]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each caption on standard output.")
def weigh(captions: tuple[str, ...], names: str | None, table: str | None, as_json: bool) -> None:
    """Print the words of each CAPTION with their weights, from 1.0 to 1.5, and the reasons.

    With - instead of a caption, captions are read from standard input, one on each line.
    """
    from tacit.words import Weigher

    weigher = Weigher(names, table)
    for number, caption in enumerate(_read_captions(captions)):
        words = weigher(caption)
        if as_json:
            rows = [dataclasses.asdict(word) for word in words]
            click.echo(json_line({"caption": caption, **weigher.settings, "words": rows}))
        else:
            width = max((len(word.text) for word in words), default=0)
            lines = [f"{word.text:<{width}}  {word.weight:.2f}  {word.reason}" for word in words]
            click.echo("\n".join(["", *lines] if number else lines))


@command.command(
    "word-table",
    short_help="Count which words are rare in captions of your own.",
    epilog="""\b
Examples:
  tacit word-table captions.jsonl -o mine.tsv.gz
  TACIT_WORD_TABLE=mine.tsv.gz tacit encode photo.jpg --word-weights
\b
A CORPUS is a JSONL file with captions, such as `tacit caption` writes, or a text
file with one caption on each line; it may be compressed (.gz).
This needs scikit-learn: pip install 'tacit[words]'
""",
)
@click.argument("corpora", metavar="CORPUS ...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", required=True, help="Table to write, for `tacit weigh --table`.")
@click.option("-f", "--force", is_flag=True, help="Overwrite FILE if it exists.")
def word_table(corpora: tuple[str, ...], output: str, force: bool) -> None:
    """Count the words in each CORPUS of captions, and write a table of how rare they are and which kinds they are."""
    check_new(output, force)
    from tacit.words.corpus import read_corpus
    from tacit.words.table_builder import build_table

    captions = [caption for corpus in corpora for caption in read_corpus(corpus)]
    data = build_table(captions, {"sources": ", ".join(map(os.path.basename, corpora))})
    files.write(output, data, force=force)
    click.echo(f"{len(captions):,} captions -> {output}  {byte_size(len(data))}")


def _read_captions(arguments: Sequence[str]) -> list[str]:
    """Return the captions among the arguments, with those on standard input in place of -."""
    captions: list[str] = []
    for argument in arguments:
        if argument == STDIO:
            text = files.read(STDIO).decode("utf-8", "replace")
            captions += [line for line in text.splitlines() if line.strip()]
        else:
            captions.append(argument)
    return captions
