"""Files on disk: which ones the arguments mean, where each result goes, and writing one whole or not at all."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tacit.errors import CorruptWeights, InvalidInput, PathError, TacitError

STDIO = "-"
"""In place of a path: standard input or standard output."""

TACIT_SUFFIXES = frozenset({".tacit"})
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .j2k .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)
"""What is taken from a folder for an image; a file that is named outright is tried whatever its suffix."""


@dataclass(frozen=True)
class Task:
    """One file to convert: from `source` to `output`, either of which may be `STDIO`.

    output is empty where nothing is written. problem: why it cannot be done, where that is plain before anything is
    read.
    """

    source: str
    output: str = ""
    problem: TacitError | None = None


@dataclass(frozen=True)
class _Found:
    """A source, and its place below an output folder (`relative`)."""

    source: str
    relative: PurePath
    problem: TacitError | None = None


def find(arguments: Sequence[str], suffixes: frozenset[str]) -> list[Task]:
    """The files that `arguments` (files, folders, glob patterns, `-`) mean, each once; nothing is written.

    suffixes: what is taken from folders. What is wrong with one of them becomes its task's `problem`.
    """
    return [Task(one.source, problem=one.problem) for one in _unique(arguments, suffixes)]


def plan(
    arguments: Sequence[str],
    *,
    suffixes: frozenset[str],
    output: str | None,
    output_suffix: str,
    force: bool = False,
) -> list[Task]:
    """The files that `arguments` mean, as `find` has them, each with its output.

    output: a file, a folder (the inputs' folders are mirrored in it), `-`, or
    None for beside each source. output_suffix: of every output that is not named by `output` itself.
    Raises: InvalidInput, where `output` cannot serve all of the inputs.
    """
    found = _unique(arguments, suffixes)
    several = len(found) > 1 or len(arguments) > 1 or any(os.path.isdir(a) for a in arguments)
    if output == STDIO and several:
        raise InvalidInput(f"standard output takes one file, and there are {len(found)}")
    into_folder = output is not None and output != STDIO and (_names_folder(output) or several)
    if into_folder and output is not None and not os.path.isdir(output):
        if os.path.exists(output):
            raise InvalidInput(f"{output} is a file; {len(found)} inputs need a folder")
        if several and PurePath(output).suffix.lower() in IMAGE_SUFFIXES | TACIT_SUFFIXES:
            raise InvalidInput(f"{output} names one file; {len(found)} inputs need a folder (end its name with /)")
    named = PurePath(output or "").suffix.lower()
    if not into_folder and output_suffix in TACIT_SUFFIXES and named in IMAGE_SUFFIXES:
        raise InvalidInput(f"{output} is the name of an image, and what is written is a {output_suffix} file")

    tasks: list[Task] = []
    taken: dict[str, str] = {}
    for one in found:
        if one.problem is not None:
            tasks.append(Task(one.source, problem=one.problem))
            continue
        if output is not None:
            target = os.path.join(output, _renamed(one.relative, output_suffix)) if into_folder else output
        else:
            target = STDIO if one.source == STDIO else _renamed(PurePath(one.source), output_suffix)
        problem = _output_problem(one.source, target, taken, force, suffixes)
        if problem is None and target != STDIO:
            taken[os.path.realpath(target)] = one.source
        tasks.append(Task(one.source, target, problem))
    return tasks


def _renamed(path: PurePath, suffix: str) -> str:
    """`path` with `suffix` in place of an image's; any other dot belongs to the name (`photo.v2`)."""
    known = path.suffix.lower() in IMAGE_SUFFIXES | TACIT_SUFFIXES
    return str(path.with_name((path.stem if known else path.name) + suffix))


def _names_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _output_problem(
    source: str, target: str, taken: dict[str, str], force: bool, suffixes: frozenset[str]
) -> TacitError | None:
    if target == STDIO:
        return None
    real = os.path.realpath(target)
    if real in taken:
        return InvalidInput(f"would be written to {target}, as {taken[real]} is")
    if source != STDIO and real == os.path.realpath(source):
        if PurePath(source).suffix.lower() not in suffixes:  # another kind of file by mistake, most likely
            kind = "a .tacit file" if suffixes == TACIT_SUFFIXES else "an image"
            return InvalidInput(f"not {kind} by its name, and would be written over itself")
        return InvalidInput("would be written over itself")
    return None if force else _exists_problem(target)


def _exists_problem(target: str) -> PathError | None:
    if os.path.lexists(target) and not _is_device(target):
        return PathError(f"{target} is there already (-f/--force overwrites it)")
    return None


def _expand(argument: str, suffixes: frozenset[str]) -> Iterator[_Found]:
    if argument == STDIO:
        yield _Found(STDIO, PurePath("stdin"))
    elif not argument:
        yield _Found(argument, PurePath(), PathError("an empty path"))
    elif os.path.isdir(argument):
        yield from _walk(argument, suffixes)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        # A path that is not there gets its task too: reading it says so, with the system's own words.
        yield _Found(argument, PurePath(PurePath(argument).name))
    else:
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            yield _Found(argument, PurePath(), PathError("no file matches"))
        base = _fixed_part(argument)
        for match in matches:
            if not os.path.isdir(match):
                yield _Found(match, PurePath(os.path.relpath(match, base)))
            elif "**" not in argument:  # as the shell would pass it on; ** has been inside it already
                yield from _walk(match, suffixes)


def _fixed_part(pattern: str) -> str:
    """The folder that a glob pattern starts in: `a/b` of `a/b/*/c*.jpg`."""
    while glob.has_magic(pattern):
        pattern = os.path.dirname(pattern)
    return pattern or os.curdir


def _walk(folder: str, suffixes: frozenset[str]) -> Iterator[_Found]:
    """The files with `suffixes` in `folder` and below, in order; hidden ones are left out."""
    empty = True
    problems: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if PurePath(name).suffix.lower() in suffixes and not name.startswith("."):
                empty = False
                path = str(PurePath(parent, name))
                yield _Found(path, PurePath(os.path.relpath(path, folder)))
    for problem in problems:
        empty = False
        yield _Found(str(problem.filename), PurePath(), PathError(reason(problem)))
    if empty:
        kind = " or ".join(sorted(suffixes)) if len(suffixes) < 3 else "image"
        yield _Found(folder, PurePath(), PathError(f"no {kind} file in this folder"))


def _unique(arguments: Iterable[str], suffixes: frozenset[str]) -> list[_Found]:
    found: dict[str, _Found] = {}
    for argument in arguments:
        for one in _expand(argument, suffixes):
            found.setdefault(one.source if one.source == STDIO else os.path.abspath(one.source), one)
    return list(found.values())


def reason(error: OSError) -> str:
    """What went wrong, in the system's words, without the number and the path: `No space left on device`."""
    return error.strerror or str(error) or type(error).__name__


def read(source: str) -> bytes:
    """All of a file, or of standard input.

    Raises: PathError.
    """
    try:
        if source == STDIO:
            return sys.stdin.buffer.read()
        return Path(source).read_bytes()
    except OSError as error:
        raise PathError(f"cannot be read: {reason(error)}") from error


def verified(path: Path, sha256: str) -> bytes:
    """The bytes of a file that came with the package. Raises: CorruptWeights, where it is missing or altered."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptWeights(f"{path}: {error.strerror}; reinstall tacit") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise CorruptWeights(f"{path}: sha256 {digest[:16]}, expected {sha256[:16]}; reinstall tacit")
    return content


def write(target: str, data: bytes, *, force: bool = False) -> None:
    """Write a file whole, or leave what was there: to a temporary name in the same folder, then renamed.

    Missing folders are made. A device, such as /dev/null, or a named pipe is written to directly, and so is standard
    output. The temporary file is removed whatever happens, Ctrl-C included.

    Raises: PathError, and where the file exists and `force` is not set.
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


def _replace(target: str, data: bytes, force: bool) -> None:
    folder, name = os.path.split(target)
    os.makedirs(folder or os.curdir, exist_ok=True)
    # Not the tempfile module: it makes files that only their owner can read.
    temporary = os.path.join(folder, f".{name[:80]}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not force and (problem := _exists_problem(target)):
            raise problem
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
