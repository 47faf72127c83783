"""docs/format.md has the tables and the example that the code has.

`python tests/container/test_format_page.py` prints the example.
"""

from __future__ import annotations

import re

from support.containers import header, pack, spans
from support.paths import ROOT
from tacit.container import CHUNKS, HEADER, Container, Metadata, read
from tacit.container.framing import varint

FORMAT_PAGE = ROOT / "docs" / "format.md"


def example() -> str:
    """A small file with each of its bytes explained."""
    parts = Container(
        header=header(1200, 8, quality=62.5),
        metadata=Metadata(caption="a dog"),
        alpha=None,
        regions=(b"\x5e\x01\x77", b"\x19\x80"),
    )
    data = pack(parts)
    lines = ["offset  bytes                    meaning"]
    position = 0

    def line(size: int, meaning: str) -> None:
        nonlocal position
        lines.append(f"{position:6d}  {data[position : position + size].hex(' '):<23}  {meaning}")
        position += size

    line(8, "signature")
    line(1, "format version 1")
    for kind, _, end in spans(data):
        payload = end - 4 - position - 2
        line(1, f"chunk {kind}: {CHUNKS[kind].name}")
        line(1, f"length {payload}")
        if kind == "H":
            for field, number in parts.header.numbers():
                size = field.size or len(varint(number))
                line(size, f"{field.name} {number:x}" if size == 8 else f"{field.name} {number}")
        elif kind == "I":
            line(1, "region 0: 3 bytes")
            line(1, "region 1: 2 bytes")
        else:
            line(payload, '"a dog"' if kind == "c" else "entropy-coded bytes (made up here)")
        line(4, "checksum")
    assert position == len(data)
    return "\n".join(lines)


def test_format_page_shows_a_real_file() -> None:
    page = FORMAT_PAGE.read_text(encoding="utf-8")
    assert example() in page, f"docs/format.md needs this example:\n{example()}"
    dump = re.search(r"offset  bytes.*?```", page, re.DOTALL)
    assert dump is not None
    columns = [line[8:31] for line in dump.group().splitlines()[1:-1]]
    parts = read(bytes.fromhex("".join(columns)))
    assert parts.metadata.caption == "a dog"
    assert (parts.header.width, parts.header.height, parts.header.quality) == (1200, 8, 62.5)
    assert parts.regions == (b"\x5e\x01\x77", b"\x19\x80")


def table(title: str) -> list[list[str]]:
    """The rows of the first table under a heading of docs/format.md."""
    section = re.split(rf"^#+ {re.escape(title)}$", FORMAT_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.group().splitlines()[2:]]


def test_format_page_tells_the_header() -> None:
    expected = [
        [f.name, "varint" if f.size is None else f"{f.size}", f"{f.low} to {f.high}", f.meaning] for f in HEADER
    ]
    expected[-2][2] = "any"
    assert table("H: header") == expected


def test_format_page_tells_the_chunks() -> None:
    assert table("Types") == [[f"`{kind.letter}`", kind.name, kind.present] for kind in CHUNKS.values()]


if __name__ == "__main__":
    print(example())
