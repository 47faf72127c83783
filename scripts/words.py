"""Make the table of words that comes with the package: how rare the words of captions are, and what they mostly are.

    pip install 'tacit[words]'
    python scripts/words.py DATA/text/captions.txt.gz

The corpus consists of the captions of COCO val2017 and of thirty thousand images of COCO 2014 (CC BY 4.0), of Flickr8k
and of Multi30k, one per line. The table records how many captions have a word or a pair of words, and holds no caption.
`tacit word-table` makes such a table from any corpus.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tacit.words.corpus import read_corpus
from tacit.words.table import SHIPPED, read_table
from tacit.words.table_builder import build_table

SOURCES = "captions of COCO val2017 and of 30,000 photographs of COCO 2014 (CC BY 4.0), of Flickr8k and of Multi30k"


def main() -> None:
    """Read the corpus, count, and write the table."""
    parser = argparse.ArgumentParser(description="Make the table of words that comes with the package.")
    parser.add_argument("corpus", type=Path, help="captions, one a line")
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED)
    options = parser.parse_args()
    card = {"sources": SOURCES, "recipe": "scripts/words.py"}
    options.output.write_bytes(build_table(read_corpus(options.corpus), card))
    table = read_table(options.output)
    print(f"{table.captions:,} captions, {len(table.entries):,} terms -> {options.output}")


if __name__ == "__main__":
    main()
