"""A folder on any file system that fsspec knows: local, s3://, gs://, memory://, ..."""

from __future__ import annotations

import hashlib
import os
import posixpath
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO, cast

from tacit.errors import MissingExtra, PathError, TacitError
from tacit.files import reason

OWN = "_tacit"
"""Below a destination: the manifest, the settings, the failures, and files that are not whole yet."""
PARTS = f"{OWN}/parts"

# A file that is uploaded to these is there when it is whole, and not before; renaming would copy it.
_ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2"})
_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}


@dataclass(frozen=True)
class Stat:
    """Of a file: its size in bytes, and what changes when the file does."""

    size: int
    stamp: str


@dataclass(frozen=True)
class Written:
    """Of a file that was written: bytes, and sha256 in hexadecimal."""

    bytes: int
    sha256: str


class Store:
    """A folder and what is below it, by names relative to it, with forward slashes.

    url: a path, or any URL of fsspec's. Small enough to be sent to another process by its url.

    Raises: MissingExtra, where the file system's library is not installed; PathError, everywhere.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") or "/"
        self.fs, self.root = _file_system(self.url)
        protocols = (self.fs.protocol,) if isinstance(self.fs.protocol, str) else tuple(self.fs.protocol)
        self.local = "file" in protocols
        self._atomic = not _ATOMIC.isdisjoint(protocols)

    @property
    def absolute(self) -> str:
        """The same folder, however it was spelled."""
        return str(self.fs.unstrip_protocol(self.root))

    def path(self, name: str) -> str:
        """As the file system has it."""
        return posixpath.join(self.root, name) if name else self.root

    def list(self, below: str = "") -> dict[str, Stat]:
        """All files below a folder, by names relative to the store; none where it is not there."""
        with self._told(below):
            self.fs.invalidate_cache()  # what s3fs remembers of an earlier run in this process may have changed
            try:
                found = self.fs.find(self.path(below), detail=True)
            except FileNotFoundError:
                return {}
        start = len(self.root.rstrip("/")) + 1
        return {
            name[start:]: _stat(about)
            for name, about in sorted(found.items())
            if about.get("type") == "file" and len(name) > start
        }

    def stat(self, name: str) -> Stat:
        """Of one file."""
        with self._told(name):
            return _stat(self.fs.info(self.path(name)))

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """For reading, from the beginning to the end or anywhere."""
        with self._told(name):
            stream = self.fs.open(self.path(name), "rb")
        with stream:
            yield cast(BinaryIO, stream)

    def read(self, name: str) -> bytes | None:
        """All of a file, or None where there is none."""
        with self._told(name):
            try:
                return cast(bytes, self.fs.cat_file(self.path(name)))
            except FileNotFoundError:
                return None

    @contextmanager
    def create(self, name: str) -> Iterator[Part]:
        """A file that is there when the block ends, whole, or not at all; one of that name is replaced."""
        with self._beside() if self.local else _nameless() as (stream, path):
            part = Part(stream)
            yield part
            stream.flush()
            stream.seek(0)
            part.written = Written(os.fstat(stream.fileno()).st_size, hashlib.file_digest(stream, "sha256").hexdigest())
            stream.seek(0)  # where file descriptors are opened by their names, their position is shared on some systems
            with self._told(name):
                self._move(path, name)

    def put(self, name: str, data: bytes) -> Written:
        """A small file, whole or not at all."""
        with self.create(name) as part:
            part.stream.write(data)
        return part.written

    def remove(self, names: Sequence[str]) -> None:
        """Those of the files that are there."""
        for start in range(0, len(names), 1000):
            paths = [self.path(n) for n in names[start : start + 1000]]
            with self._told(names[start]), suppress(FileNotFoundError):
                self.fs.rm(paths)

    @contextmanager
    def _beside(self) -> Iterator[tuple[BufferedRandom, Path]]:
        """A file on the destination's own disk, to be renamed."""
        folder = Path(self.path(PARTS))
        with self._told(PARTS):
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / secrets.token_hex(8)
        try:
            with path.open("w+b") as stream:
                yield stream, path
        finally:
            path.unlink(missing_ok=True)

    def _move(self, path: Path, name: str) -> None:
        target = self.path(name)
        if self.local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        elif self._atomic:
            self.fs.put_file(str(path), target)
        else:
            temporary = self.path(f"{PARTS}/{secrets.token_hex(8)}")
            self.fs.makedirs(posixpath.dirname(temporary), exist_ok=True)
            self.fs.put_file(str(path), temporary)
            self.fs.makedirs(posixpath.dirname(target), exist_ok=True)
            self.fs.mv(temporary, target)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Errors as ours. Every file system has its own kinds, and not all of them are OSErrors."""
        try:
            yield
        except TacitError:
            raise
        except ImportError as error:
            raise MissingExtra(f"{self.url}: {error}") from error
        except OSError as error:
            raise PathError(f"{posixpath.join(self.url, name)}: {reason(error)}") from error
        except Exception as error:
            raise PathError(f"{posixpath.join(self.url, name)}: {type(error).__name__}: {error}") from error


class Part:
    """A file that is being written to `stream`. written: once it is whole and in its place."""

    written: Written

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream


def copy(source: Store, target: Store, name: str) -> Written:
    """A file as it is, whatever its size."""
    with source.open(name) as stream, target.create(name) as part:
        shutil.copyfileobj(stream, part.stream, 1 << 20)
    return part.written


def _file_system(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("bulk runs need fsspec: pip install 'tacit[bulk]'") from error
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(url.split("://", 1)[0])
        raise MissingExtra(f"{url}: {f'pip install {package}' if package else error}") from error
    except (ValueError, OSError) as error:
        raise PathError(f"{url}: {error}") from error
    return fs, str(root)


def _stat(about: Mapping[str, Any]) -> Stat:
    size = int(about.get("size") or 0)
    changed = next((about[key] for key in _STAMPS if about.get(key)), "")
    return Stat(size, hashlib.sha256(f"{size} {changed}".encode()).hexdigest()[:16])


@contextmanager
def _nameless() -> Iterator[tuple[BufferedRandom, Path]]:
    """A file on this machine's disk, to be uploaded, that is gone with the process, however that ends."""
    with tempfile.TemporaryFile() as stream:
        yield stream, Path(f"/dev/fd/{stream.fileno()}")
