"""A folder on any file system that fsspec knows: local, s3://, gs://, memory:// and others."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO, cast

from tacit.errors import MissingExtra, PathError, TacitError
from tacit.files import move, reason
from tacit.files.walking import walk

OWN_FOLDER = "_tacit"
"""The folder below a destination for the manifest, the settings, the failures, and files that are not whole yet."""
PARTS = f"{OWN_FOLDER}/parts"
"""The folder for files that are not whole yet."""

# A file that is uploaded to these is there when it is whole, and not before; renaming would copy it.
_ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2"})
_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, the user's part of it, or the file is full
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}


@dataclass(frozen=True)
class FileStat:
    """Size and stamp of a file."""

    size: int
    """In bytes."""
    stamp: str
    """A text that changes when the file does."""


@dataclass(frozen=True)
class WrittenFile:
    """Size and hash of a file that was written."""

    bytes: int
    """The size in bytes."""
    sha256: str
    """The hash in hexadecimal."""


class ShardStore:
    """A folder and everything below it, by names relative to it, with forward slashes.

    A store is small enough to be sent to another process by its URL. All methods raise PathError where the file system
    fails.

    Args:
        url: A path, or any URL that fsspec knows.

    Raises:
        MissingExtra: The file system's library is not installed.
        PathError: No file system has such URLs.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") or "/"
        self.fs, self.root = _file_system(self.url)
        protocols = (self.fs.protocol,) if isinstance(self.fs.protocol, str) else tuple(self.fs.protocol)
        self.local = "file" in protocols
        self._atomic = not _ATOMIC.isdisjoint(protocols)

    @property
    def absolute(self) -> str:
        """The folder's URL in full, however it was spelled."""
        return str(self.fs.unstrip_protocol(self.root))

    def path(self, name: str) -> str:
        """Return a name as the file system has it."""
        return posixpath.join(self.root, name) if name else self.root

    def list(self, below: str = "") -> dict[str, FileStat]:
        """Return all files below a folder by names relative to the store; none where the folder is missing."""
        with self._path_errors(below):
            if self.local:
                return self._list_local(below)
            self.fs.invalidate_cache()  # what s3fs remembers of an earlier run in this process may have changed
            try:
                details = self.fs.find(self.path(below), detail=True)
            except FileNotFoundError:
                return {}
        start = len(self.root.rstrip("/")) + 1
        return {
            name[start:]: _stat(detail)
            for name, detail in sorted(details.items())
            if detail.get("type") == "file" and len(name) > start
        }

    def _list_local(self, below: str) -> dict[str, FileStat]:
        """Return the files below a folder on this machine, those behind links included, unlike fsspec."""
        files: dict[str, FileStat] = {}
        for parent, names in walk(self.path(below)):
            for name in names:
                path = os.path.join(parent, name)
                with suppress(FileNotFoundError):
                    about = _local_stat(path)
                    if about is not None:
                        files[Path(os.path.relpath(path, self.root)).as_posix()] = about
        return dict(sorted(files.items()))

    def stat(self, name: str) -> FileStat:
        """Return size and stamp of one file."""
        with self._path_errors(name):
            if self.local and (about := _local_stat(self.path(name))) is not None:
                return about
            return _stat(self.fs.info(self.path(name)))

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for reading, from the beginning to the end or anywhere."""
        with self._path_errors(name):
            stream = self.fs.open(self.path(name), "rb")
        with stream:
            yield cast(BinaryIO, stream)

    def read(self, name: str) -> bytes | None:
        """Return the contents of a file, or None where there is no such file."""
        with self._path_errors(name):
            try:
                return cast(bytes, self.fs.cat_file(self.path(name)))
            except FileNotFoundError:
                return None

    @contextmanager
    def create(self, name: str) -> Iterator[PartialFile]:
        """Write a file that is there, whole, when the block ends, or not at all; one of that name is replaced."""
        try:
            with self._file_beside() if self.local else _nameless_file() as (stream, path):
                part = PartialFile(stream)
                yield part
                stream.flush()
                stream.seek(0)
                size, digest = os.fstat(stream.fileno()).st_size, hashlib.file_digest(stream, "sha256").hexdigest()
                part.written = WrittenFile(size, digest)
                stream.seek(0)  # where file descriptors are opened by names, their position is shared on some systems
                with self._path_errors(name):
                    if self.local:
                        stream.close()  # some file systems say only then that there is no room
                    self._move(path, name)
        except TacitError:
            raise
        except OSError as error:  # on a full disk, also when the stream is closed, which writes what is in its buffer
            if error.errno in _FULL:
                raise PathError(f"{posixpath.join(self.url, name)}: {reason(error)}") from error
            raise  # it may be about what the block has read

    def put(self, name: str, data: bytes) -> WrittenFile:
        """Write a small file, whole or not at all."""
        with self.create(name) as part:
            part.stream.write(data)
        return part.written

    def remove(self, names: Sequence[str]) -> None:
        """Remove those of the files that are there."""
        for start in range(0, len(names), 1000):
            paths = [self.path(name) for name in names[start : start + 1000]]
            with self._path_errors(names[start]), suppress(FileNotFoundError):
                self.fs.rm(paths)

    @contextmanager
    def _file_beside(self) -> Iterator[tuple[BufferedRandom, Path]]:
        """Open a file on the destination's own disk, to be renamed."""
        folder = Path(self.path(PARTS))
        with self._path_errors(PARTS):
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
            move(path, target)
        elif self._atomic:
            self.fs.put_file(str(path), target)
        else:
            temporary = self.path(f"{PARTS}/{secrets.token_hex(8)}")
            self.fs.makedirs(posixpath.dirname(temporary), exist_ok=True)
            self.fs.put_file(str(path), temporary)
            self.fs.makedirs(posixpath.dirname(target), exist_ok=True)
            self.fs.mv(temporary, target)

    @contextmanager
    def _path_errors(self, name: str) -> Iterator[None]:
        """Turn errors into ours: every file system has its own kinds, and not all of them are OSErrors."""
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


class PartialFile:
    """A file that is being written."""

    stream: BinaryIO
    """What to write to."""
    written: WrittenFile
    """Size and hash, once the file is whole and in its place."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream


def copy_file(source: ShardStore, target: ShardStore, name: str) -> WrittenFile:
    """Copy a file of any size from one store to another, under the same name."""
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


def _stat(detail: Mapping[str, Any]) -> FileStat:
    size = int(detail.get("size") or 0)
    changed = next((detail[key] for key in _STAMPS if detail.get(key)), "")
    return FileStat(size, hashlib.sha256(f"{size} {changed}".encode()).hexdigest()[:16])


def _local_stat(path: str) -> FileStat | None:
    """Return size and stamp of a file on this machine, of the target of a link; None for what is no file.

    A link to nothing counts as a file, so that its failure is seen.
    """
    try:
        about = os.stat(path)
    except FileNotFoundError:
        about = os.lstat(path)
    if stat.S_ISREG(about.st_mode) or stat.S_ISLNK(about.st_mode):
        return _stat({"size": about.st_size, "mtime": about.st_mtime})
    return None


@contextmanager
def _nameless_file() -> Iterator[tuple[BufferedRandom, Path]]:
    """Open a file on this machine's disk, to be uploaded, that is gone with the process, however that ends."""
    with tempfile.TemporaryFile() as stream:
        yield stream, Path(f"/dev/fd/{stream.fileno()}")
