"""Weights that can be downloaded: where they are, and fetching them into the user's folder; standard library only."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tacit.errors import CorruptWeights, MissingWeights, PathError, UnknownModel
from tacit.files import move, reason, sha256
from tacit.folders import weights_folder
from tacit.weights.catalogue import SHIPPED, shipped_path

RELEASE: str | None = None
"""The https address of the folder with the files of this release; None until it is published (RELEASING.md)."""

_BLOCK = 1 << 18
_TIMEOUT = 60  # seconds of silence


@dataclass(frozen=True)
class Source:
    """Where a weights file can be downloaded, and what it must be."""

    url: str | None
    """The address; None where there is none yet."""
    sha256: str
    """The hash of the file, hexadecimal."""
    size: int
    """Its bytes."""


def _of_this_release(name: str, size: int) -> Source:
    return Source(None if RELEASE is None else f"{RELEASE}/{name}.safetensors", SHIPPED[name], size)


SOURCES: Mapping[str, Source] = {
    "tacit-s": _of_this_release("tacit-s", 23_899_171),
    "tacit-s-mse": _of_this_release("tacit-s-mse", 23_898_987),
}
"""All weights that can be downloaded, by name; those of earlier releases stay."""


def download(name: str, progress: Callable[[int, int], None] = lambda done, size: None) -> Path:
    """Fetch weights into the user's folder, where they are found by name, and return their path.

    What is there already, in the package or in the folder, is not fetched again. The file is written under another name
    until its hash is verified. If that ends early, the next call goes on where it ended.

    Args:
        name: A name in `SOURCES`.
        progress: Called with the bytes that are there and those of the whole file.

    Raises:
        UnknownModel: There are no such weights to download.
        MissingWeights: They have no address yet, or cannot be fetched from it.
        CorruptWeights: What was fetched is not that file; it is removed.
        PathError: The file cannot be written, or another one has its name.
    """
    source = SOURCES.get(name)
    if source is None:
        raise UnknownModel(f"model to download must be one of {', '.join(SOURCES)}, got {name!r}")
    if name in SHIPPED and shipped_path(name).exists():
        return shipped_path(name)
    target = weights_folder() / f"{name}.safetensors"
    try:
        if target.exists():
            if sha256(target) != source.sha256:
                raise PathError(f"{target} is another file than the {name} that can be downloaded; rename it first")
            return target
        if source.url is None:
            raise MissingWeights(f"{name} cannot be downloaded yet: this version of tacit was built before its release")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{name}.{source.sha256[:16]}.part")
        _fetch(name, source.url, source.size, part, progress)
        digest = sha256(part)
        if digest != source.sha256:
            part.unlink()
            raise CorruptWeights(f"{source.url}: sha256 must be {source.sha256[:16]}, got {digest[:16]}; not kept")
        move(part, target)
    except PathError:
        raise
    except OSError as error:
        raise PathError(f"cannot write {target}: {reason(error)}") from error
    return target


def _fetch(name: str, url: str, size: int, part: Path, progress: Callable[[int, int], None]) -> None:
    """Fetch the rest of a file, or all of it where the server cannot go on in the middle.

    Raises:
        MissingWeights: The server cannot be reached, refuses, or ends early.
        OSError: The part cannot be written.
    """
    done = part.stat().st_size if part.exists() else 0
    if done > size:
        part.unlink()
        done = 0
    if done == size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "tacit", "Accept-Encoding": "identity"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise MissingWeights(f"{name} cannot be downloaded: {url} answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise MissingWeights(f"{name} cannot be downloaded: {url}: {_network_reason(error)}") from error
    with answer:
        if done and not _goes_on(answer, done):
            done = 0
        with part.open("ab" if done else "wb") as stream:
            while done <= size:  # a server that sends more sends another file
                try:
                    block = answer.read(_BLOCK)
                except (OSError, http.client.HTTPException) as error:
                    raise MissingWeights(_cut(url, done, size, _network_reason(error))) from error
                if not block:
                    break
                stream.write(block)
                done += len(block)
                progress(done, size)
    if done < size:
        raise MissingWeights(_cut(url, done, size, "the connection ended"))


def _goes_on(answer: http.client.HTTPResponse, done: int) -> bool:
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")


def _cut(url: str, done: int, size: int, why: str) -> str:
    return f"{url}: {why} after {done:,} of {size:,} bytes; the same command goes on from there"


def _network_reason(error: Exception) -> str:
    """Return what is wrong with a connection, without Python's words around it."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {inner.verify_message}"
    if isinstance(inner, OSError):
        return reason(inner)
    return str(inner) or type(inner).__name__
