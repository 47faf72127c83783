"""The first nine bytes of a file: the signature, which a transfer in text mode would change visibly; the version."""

from __future__ import annotations

from tacit.container.framing import Buffer
from tacit.errors import CorruptFile, UnsupportedFile

SIGNATURE = b"\x89TCT\r\n\x1a\n"

MIME_TYPE = "image/x-tacit"

VERSION = 3
"""The newest version. A file has the first version that has what the file needs."""

LENGTH = len(SIGNATURE) + 1
"""Bytes of signature and version: where the first chunk begins."""

TELLING = 16
"""Bytes that are enough for an error message to say what a file is instead."""

# What the signature becomes in a transfer that takes the file for text.
_TEXT_MODE = {
    SIGNATURE.replace(b"\r\n", b"\n"): "CR LF became LF",
    SIGNATURE.replace(b"\r\n", b"\r"): "CR LF became CR",
    SIGNATURE.replace(b"\n", b"\r\n"): "LF became CR LF",
    SIGNATURE.replace(b"\x1a\n", b"\x1a\r\n"): "LF became CR LF",
    SIGNATURE.replace(b"\n", b"\r"): "LF became CR",
    SIGNATURE.replace(b"\r", b"\n"): "CR became LF",
    b"\x09TCT": "the eighth bit was lost",
    b"\xc2\x89TCT": "bytes were recoded as UTF-8",
    b"\xef\xbf\xbdTCT": "bytes were replaced by U+FFFD",
    b"?TCT": "bytes were replaced by question marks",
}


def is_tacit(prefix: Buffer) -> bool:
    """Return whether a file that begins with `prefix` (8 bytes or more) is a `.tacit` file."""
    return bytes(prefix[: len(SIGNATURE)]) == SIGNATURE


def check_signature(view: memoryview) -> None:
    """Check that a file is a `.tacit` file of a version that is read here.

    Raises:
        CorruptFile: The signature is damaged or the version is impossible.
        UnsupportedFile: This is another kind of file, or one of a newer version.
    """
    start = bytes(view[:TELLING])
    if not start.startswith(SIGNATURE):
        if start and SIGNATURE.startswith(start):
            raise CorruptFile(f"the file ends after {len(start)} bytes, inside the signature")
        for damaged, how in _TEXT_MODE.items():
            if start.startswith(damaged):
                raise CorruptFile(f"signature {start[:8].hex(' ')} was damaged by a transfer in text mode ({how})")
        if start.startswith(SIGNATURE[:4]):
            raise CorruptFile(f"signature must be {SIGNATURE.hex(' ')}, got {start[:8].hex(' ')}")
        raise UnsupportedFile(f"not a .tacit file: it begins with {start[:8].hex(' ') or 'nothing, it is empty'}")
    if len(view) == len(SIGNATURE):
        raise CorruptFile("the file ends after the signature")
    version = view[len(SIGNATURE)]
    if version > VERSION:
        raise UnsupportedFile(
            f"format version must be at most {VERSION} for this tacit, got {version}: a newer tacit is needed"
        )
    if version < 1:
        raise CorruptFile(f"format version must be at least 1, got {version}")
