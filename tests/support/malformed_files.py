"""Files that break one rule each, with what the error says.

The decoder for browsers must say the same. It reads them from `js/test/malformed.json`, which is made by
`python -m support.malformed_files`.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from support.containers import CLEAR, HASH, MAPPED, TWO, H, R, build, chunk, header
from tacit.container import read
from tacit.errors import FileError, ImageTooLarge

FOR_JAVASCRIPT = Path(__file__).resolve().parents[2] / "js" / "test" / "malformed.json"


def deflated(data: bytes) -> bytes:
    return b"\1" + zlib.compress(data)


MALFORMED = {
    "no header": (build(), "ends before its header"),
    "region first": (build(R), "first chunk must be H, got R"),
    "no region": (build(H), "ends after 0 of 1 regions"),
    "second header": (build(H, H, R), "chunk H must be in a file once, got a second one"),
    "second caption": (
        build(H, chunk("c", b"a"), chunk("c", b"b"), R),
        "chunk c must be in a file once, got a second one",
    ),
    "no letter": (build(H, chunk("1", b""), R), "type of a chunk must be a letter, got 0x31"),
    "trailing bytes": (build(H, R) + b"\0", "must end with the last region, got 1 bytes after it"),
    "trailing region": (build(H, R, R), "must end with the last region, got 12 bytes after it"),
    "caption behind": (
        build(TWO, chunk("I", b"\6\6"), R, chunk("c", b"abcdef")),
        "byte 50 must begin region 1 of 2, got chunk c",
    ),
    "checksum": (build(H, R[:-1] + b"\0"), "chunk R 0: checksum must be af514e00, got af514e3d"),
    "length": (
        build(H, b"R\x7fabc"),
        "chunk R 0: length of 127 bytes and a checksum must fit in the file, got 3 bytes",
    ),
    "long length": (build(H, b"R" + b"\xff" * 6), "chunk R 0: length must have at most 5 bytes, got more"),
    "large length": (build(H, b"R\xff\xff\xff\xff\x10"), "chunk R 0: length must be at most 4294967295, got 4"),
    "loose length": (build(H, b"R\x86\x00region" + bytes(4)), "6 must be written in the fewest bytes, got 2"),
    "cut length": (build(H, b"R\xff"), "chunk R 0: length is cut off"),
    "long header": (
        build(chunk("H", header().to_bytes() + b"\0"), R),
        "chunk H must have the 16 bytes of its numbers, got 17",
    ),
    "short header": (build(chunk("H", header().to_bytes()[:-1]), R), "chunk H: weights must have 8 bytes, got 7"),
    "empty header": (build(chunk("H", b""), R), "chunk H: width is cut off"),
    "no width": (build(chunk("H", b"\0" + header().to_bytes()[2:]), R), "width must be 1 to 4294967295, got 0"),
    "mode": (
        build(chunk("H", header(1, 1).to_bytes()[:2] + b"\x10" + header(1, 1).to_bytes()[3:]), R),
        "mode must be 0 to 15, got 16",
    ),
    "no map": (
        build(chunk("H", MAPPED.to_bytes()), R, version=2),
        "chunk Q: quality map must be present exactly if the header says so, got none",
    ),
    "needless map": (
        build(H, chunk("Q", b"\0\0"), R),
        "chunk Q: quality map must be present exactly if the header says so, got one",
    ),
    "short map": (
        build(chunk("H", MAPPED.to_bytes()), chunk("Q", b"\0\1"), R, version=2),
        "chunk Q: quality map must have a value for each of 1x2 cells, got 1",
    ),
    "wrong map": (
        build(chunk("H", MAPPED.to_bytes()), chunk("Q", b"\0\x9b\x9c"), R, version=2),
        "chunk Q: quality map values must be -100 to 100, got -101",
    ),
    "huge map": (
        build(chunk("H", MAPPED.to_bytes()), chunk("Q", b"\1" + zlib.compress(bytes(10_000))), R, version=2),
        "chunk Q: quality map must hold at most 2 bytes of data, got more",
    ),
    "map of a fixed rate": (
        build(chunk("H", MAPPED.to_bytes()[:3] + b"\x91\x4e" + MAPPED.to_bytes()[5:]), R, version=2),
        "mode must have no quality map for a model of one fixed rate",
    ),
    "quality": (build(chunk("H", b"\1\1\1\x92\x4e\1" + HASH), R), "quality must be 0 to 10001, got 10002"),
    "no index": (
        build(TWO, R, R),
        "chunk I: index must be present exactly if regions times scans are two or more, got none",
    ),
    "needless index": (
        build(H, chunk("I", b"\6"), R),
        "chunk I: index must be present exactly if regions times scans are two or more, got one",
    ),
    "short index": (
        build(TWO, chunk("I", b"\6"), R, R),
        "chunk I: index must have at least a byte for each of 2 regions, got 1",
    ),
    "cut index": (build(TWO, chunk("I", b"\6\x86"), R, R), "index length of region 1 is cut off"),
    "long index": (
        build(TWO, chunk("I", b"\6\6\6"), R, R),
        "chunk I: index must have the 2 bytes of its 2 lengths, got 3",
    ),
    "wrong index": (build(TWO, chunk("I", b"\6\7"), R, R), "chunk R 1 must have 7 bytes as in the index, got 6"),
    "no alpha": (build(CLEAR, R), "chunk A: alpha must be present exactly if the header says so, got none"),
    "needless alpha": (
        build(H, chunk("A", b"\0\0"), R),
        "chunk A: alpha must be present exactly if the header says so, got one",
    ),
    "empty alpha": (build(CLEAR, chunk("A", b""), R), "chunk A: alpha must have a method byte and data, got 0 bytes"),
    "long alpha": (
        build(CLEAR, chunk("A", b"\0\1\2"), R),
        "chunk A: alpha must have 1 byte of data where alpha is constant, got 2",
    ),
    "alpha method": (
        build(CLEAR, chunk("A", b"\7\1"), R),
        "chunk A: alpha method must be 0 (constant) or 1 (PNG), got 7",
    ),
    "empty icc": (build(H, chunk("i", b""), R), "chunk i: icc must begin with a method byte, got an empty payload"),
    "icc method": (build(H, chunk("i", b"\2abc"), R), "chunk i: icc method must be 0 (as it is) or 1 (zlib), got 2"),
    "no zlib": (build(H, chunk("e", b"\1abcdefgh"), R), "chunk e: exif must be a zlib stream, got other bytes"),
    "cut zlib": (
        build(H, chunk("x", deflated(b"abc" * 50)[:-3]), R),
        "chunk x: xmp must hold a whole zlib stream, got one that ends early",
    ),
    "zlib and more": (
        build(H, chunk("x", deflated(b"abc") + b"!!"), R),
        "chunk x: xmp must end with its zlib stream, got 2 bytes after it",
    ),
    "no scans": (
        build(chunk("H", header(scans=1).to_bytes()[:-1]), R, version=3),
        "chunk H: scans must have 1 bytes, got 0",
    ),
    "zero scans": (
        build(chunk("H", header(scans=1).to_bytes()[:-1] + b"\0"), R, version=3),
        "chunk H: scans must be 1 to 255, got 0",
    ),
    "needless scans": (
        build(chunk("H", header().to_bytes() + b"\1"), R),
        "chunk H must have the 16 bytes of its numbers, got 17",
    ),
    "progressive of an old version": (
        build(chunk("H", header(scans=1).to_bytes()), R),
        "format version must be 3 for this header, got 1",
    ),
    "version of a progressive file": (
        build(H, R, version=3),
        "format version must be 1 for this header, got 3",
    ),
    "version of a file with a map": (
        build(H, R, version=2),
        "format version must be 1 for this header, got 2",
    ),
    "map of an old version": (
        build(chunk("H", MAPPED.to_bytes()), chunk("Q", b"\0\5\xfb"), R),
        "format version must be 2 for this header, got 1",
    ),
    "missing scan": (
        build(chunk("H", header(scans=2).to_bytes()), chunk("I", b"\6\1"), R, version=3),
        "the file ends after 1 of 2 regions",
    ),
    "empty scan": (
        build(chunk("H", header(scans=2).to_bytes()), chunk("I", b"\0\6"), chunk("R", b""), R, version=3),
        "chunk R 1 must have 6 bytes as in the index, got 0",
    ),
    "critical": (build(H, chunk("Z", b"?"), R), "chunk Z is unknown to this tacit"),
    "critical region": (build(H, chunk("c", b"a"), chunk("Z", b"?")), "chunk Z is unknown to this tacit"),
    "critical behind": (build(TWO, chunk("I", b"\6\6"), R, chunk("Z", b"012345")), "chunk Z is unknown to this tacit"),
}

_WHOLE = build(H, R)
_OTHER = {
    "empty": b"",
    "one byte": _WHOLE[:1],
    "signature alone": _WHOLE[:8],
    "version alone": _WHOLE[:9],
    "another format": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "a short text": b"hello",
    "LF for CR LF": _WHOLE.replace(b"\r\n", b"\n"),
    "CR LF for LF": _WHOLE.replace(b"\n", b"\r\n"),
    "seven bits": bytes(byte & 0x7F for byte in _WHOLE),
    "UTF-8": _WHOLE.decode("latin-1").encode(),
    "signature": _WHOLE[:5] + b"\v" + _WHOLE[6:],
    "newer version": build(H, R, version=4),
    "version 0": build(H, R, version=0),
    "too many pixels": build(chunk("H", header(1 << 16, 1 << 15).to_bytes()), R),
    "too many regions": build(chunk("H", header(1 << 27, 1, scans=255).to_bytes()), R, version=3),
    "caption not UTF-8": build(H, chunk("c", b"a\xc3("), R),
    "caption cut": build(H, chunk("c", "é".encode()[:1]), R),
    "caption with a control character": build(H, chunk("c", "é\x85".encode()), R),
    "zlib and more": build(H, chunk("x", deflated(b"abc") + b"!!"), R),
    "zlib with a wrong checksum": build(H, chunk("i", deflated(b"abc")[:-1] + b"?"), R),
}


def errors() -> list[dict[str, str]]:
    """Return each file in hexadecimal, with the name of the error and its message."""
    found = []
    for name, data in {**{name: data for name, (data, _) in MALFORMED.items()}, **_OTHER}.items():
        try:
            read(data)
        except (FileError, ImageTooLarge) as error:
            found.append({"name": name, "data": data.hex(), "error": type(error).__name__, "message": str(error)})
        else:
            raise AssertionError(f"{name} must be refused")
    return found


if __name__ == "__main__":
    FOR_JAVASCRIPT.write_text(json.dumps(errors(), indent=2) + "\n")
