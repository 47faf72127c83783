"""Answers with files that browsers take compressed; each file is compressed once, when it is first asked for."""

from __future__ import annotations

import asyncio
import gzip
import os
import threading
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from tacit.web.header_lists import header_list
from tacit.web.negotiation import accepts_encoding

SUFFIXES = (".css", ".html", ".js", ".mjs", ".wasm")
"""Of files that become much smaller."""
KEPT_FILES = 32  # the largest is the runtime, which has about 4 MB when it is compressed
_LEVEL = 6  # higher ones take several times as long for one or two per cent
_compressing = threading.Lock()


def wants_gzip(request: Request) -> bool:
    """Return whether a client takes gzip; ranges are of files as they are."""
    return "range" not in request.headers and accepts_encoding(header_list(request, "accept-encoding"), "gzip")


def gzipped(data: bytes) -> bytes:
    """Return compressed data; the same data give the same bytes at any time."""
    return gzip.compress(data, _LEVEL, mtime=0)


async def compressed_file(request: Request, answer: Response) -> Response:
    """Return an answer with a file compressed, if the client takes that and the file gains by it.

    The compressed file has an ETag of its own, since it has other bytes (RFC 9110, 8.8.3.3).

    Args:
        request: The request.
        answer: What was going to be answered; anything but a whole file is returned as it is.
    """
    if not isinstance(answer, FileResponse) or answer.status_code != 200 or not str(answer.path).endswith(SUFFIXES):
        return answer
    answer.headers["vary"] = "Accept-Encoding"
    if not wants_gzip(request):
        return answer
    about = await asyncio.to_thread(os.stat, answer.path)
    headers = {name: answer.headers[name] for name in ("last-modified", "vary")}
    headers["etag"] = answer.headers["etag"].removesuffix('"') + '-gzip"'
    known = (header_list(request, "if-none-match") or "").split(",")
    if headers["etag"] in (tag.strip().removeprefix("W/") for tag in known):
        return Response(status_code=304, headers=headers)
    data = await asyncio.to_thread(_compressed, os.fspath(answer.path), about.st_mtime_ns, about.st_size)
    return Response(data, headers={**headers, "content-encoding": "gzip"}, media_type=answer.media_type)


def _compressed(path: str, modified: int, size: int) -> bytes:
    with _compressing:  # once, however many ask
        return _read_and_compressed(path, modified, size)


@lru_cache(maxsize=KEPT_FILES)
def _read_and_compressed(path: str, _modified: int, _size: int) -> bytes:
    with open(path, "rb") as stream:
        return gzipped(stream.read())
