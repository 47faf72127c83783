"""Reading and writing a file whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import sys
from contextlib import suppress
from pathlib import Path

from tacit.errors import CorruptWeights, PathError

STDIO = "-"
"""In place of a path: standard input or standard output."""

# What file systems answer that cannot rename, such as some that show a store of objects as a folder.
_NO_RENAME = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.EEXIST}


def reason(error: OSError) -> str:
    """Return what went wrong in the system's words, without the number and the path: `No space left on device`."""
    return error.strerror or str(error) or type(error).__name__


def read(source: str) -> bytes:
    """Return all of a file, or of standard input where `source` is `STDIO`.

    Raises:
        PathError: The file cannot be read.
    """
    try:
        if source == STDIO:
            return sys.stdin.buffer.read()
        return Path(source).read_bytes()
    except OSError as error:
        raise PathError(f"cannot be read: {reason(error)}") from error


def verified(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file that came with the package.

    Args:
        path: The file.
        sha256: The hash that it must have, hexadecimal.

    Raises:
        CorruptWeights: The file is missing or altered.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptWeights(f"{path}: {error.strerror}; reinstall tacit") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise CorruptWeights(f"{path}: sha256 must be {sha256[:16]}, got {digest[:16]}; reinstall tacit")
    return content


def write(target: str, data: bytes, *, force: bool = False) -> None:
    """Write a file whole, or leave what was there.

    It is written under a temporary name in the same folder, and then renamed. Missing folders are made. A device, such
    as /dev/null, or a named pipe is written to directly, and so is standard output, and a new file where the file
    system cannot rename. The temporary file is removed whatever happens, Ctrl-C included.

    Args:
        target: The path, or `STDIO` for standard output.
        data: The contents.
        force: Whether a file that exists is overwritten.

    Raises:
        PathError: The file cannot be written, or exists and `force` is not set.
        BrokenPipeError: The reader of standard output has left.
    """
    try:
        if target == STDIO:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif _is_device(target):
            Path(target).write_bytes(data)
        else:
            _replace(target, data, force)
    except BrokenPipeError:
        raise  # the reader has left; not this file's fault
    except PathError:
        raise
    except OSError as error:
        name = "standard output" if target == STDIO else target
        raise PathError(f"cannot write {name}: {reason(error)}") from error


def move(temporary: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give a file that is whole the name that it is for, in the same folder or elsewhere on the same file system.

    A file of that name is replaced. Where the file system cannot rename, a new file is copied, and one that is there
    stays: while it was written over, there would be none.

    Raises:
        OSError: The file cannot be renamed; what was there is there still.
    """
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in _NO_RENAME:
            raise
        if os.path.lexists(target):
            hint = f"{reason(error)}; where files cannot be renamed, remove the old one first"
            raise OSError(error.errno, hint) from error
        try:
            with open(temporary, "rb") as source, open(target, "xb") as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
        except BaseException:
            with suppress(OSError):
                Path(target).unlink(missing_ok=True)
            raise
        Path(temporary).unlink(missing_ok=True)


def exists_problem(target: str) -> PathError | None:
    """Return why a file cannot be written without `force`, or None where nothing is there or it is a device."""
    if os.path.lexists(target) and not _is_device(target):
        return PathError(f"{target} exists already (-f/--force overwrites it)")
    return None


def _replace(target: str, data: bytes, force: bool) -> None:
    folder, name = os.path.split(target)
    os.makedirs(folder or os.curdir, exist_ok=True)
    # Not the tempfile module: it makes files that only their owner can read.
    # A part of the name, since a name may have 255 bytes, and the temporary one must not have more.
    known = os.fsencode(name)[:80].decode("utf-8", "ignore")
    temporary = os.path.join(folder, f".{known}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not force and (problem := exists_problem(target)):
            raise problem
        move(temporary, target)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what counts
            Path(temporary).unlink(missing_ok=True)
        raise


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
