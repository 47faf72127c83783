"""The encodings of requests' bodies (Content-Encoding), undone within a limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException


class TooLarge(Exception):
    """More data than the limit."""


def _inflated(data: bytes, limit: int, window: int) -> bytes:
    """Return what zlib's streams, one behind the other, hold.

    Raises:
        TooLarge: That is more than the limit.
        ValueError: A stream is damaged or cut off.
    """
    whole = bytearray()
    while True:
        stream = zlib.decompressobj(window)
        try:
            whole += stream.decompress(data, limit + 1 - len(whole))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(whole) > limit:
            raise TooLarge
        if not stream.eof:
            raise ValueError("it ends too early")
        data = stream.unused_data
        if not data.strip(b"\0"):  # gzip may be padded
            return bytes(whole)


def _gunzipped(data: bytes, limit: int) -> bytes:
    return _inflated(data, limit, 16 + zlib.MAX_WBITS)


def _deflated(data: bytes, limit: int) -> bytes:
    return _inflated(data, limit, zlib.MAX_WBITS)


def _from_zstd(data: bytes, limit: int) -> bytes:
    import zstandard

    # RFC 9659 limits the window, and with it the memory that a few bytes can ask for, to 8 MiB.
    context = zstandard.ZstdDecompressor(max_window_size=8 << 20)
    size = 0
    try:
        # The reader stops where it is told to, but takes a frame that is cut off for a whole one. So it only measures.
        with context.stream_reader(data, read_across_frames=True) as measured:
            while piece := measured.read(1 << 20):
                size += len(piece)
                if size > limit:
                    raise TooLarge
        whole = bytearray()
        while data:
            frame = context.decompressobj()
            whole += frame.decompress(data)
            if not frame.eof:
                raise ValueError("it ends too early")
            data = frame.unused_data
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    return bytes(whole)


DECODERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _deflated,
    "zstd": _from_zstd,
}
"""What undoes each encoding: takes a body and the most bytes that it may hold, and raises TooLarge or ValueError."""


def body_encoding(header: str | None) -> str | None:
    """Return the encoding that a Content-Encoding header names; None where there is none.

    Raises:
        HTTPException: It is an encoding that is not undone here, or there are several.
    """
    names = [name.strip().lower() for name in (header or "").split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return None
    if len(names) > 1 or names[0] not in DECODERS:
        offered = ", ".join(name for name in DECODERS if name != "x-gzip")
        raise HTTPException(
            415, f"Content-Encoding must be one of {offered}, got {', '.join(names)}", {"accept-encoding": offered}
        )
    return names[0]
