"""Arguments: which files they mean, and where each result goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tacit.errors import InvalidInput, PathError, TacitError
from tacit.files.atomic import STDIO, exists_problem, reason
from tacit.files.walking import walk

TACIT_SUFFIXES = frozenset({".tacit"})
IMAGE_SUFFIXES = frozenset(
    (
        ".apng .avif .bmp .gif .heic .heif .hif .j2k .jfif .jp2 .jpe .jpeg .jpf .jpg .jpx .jxl .mpo .pbm .pgm .png "
        ".pnm .ppm .qoi .tga .tif .tiff .webp"
    ).split()
)
"""The suffixes that are taken from a folder for images, with what `tacit.image.readable_suffixes` adds to them.

A file that is named outright is tried whatever its suffix.
"""


@dataclass(frozen=True)
class Task:
    """One file to convert."""

    source: str
    """Its path, or `STDIO`."""
    output: str = ""
    """The path of the result, or `STDIO`; empty where nothing is written."""
    problem: TacitError | None = None
    """Why it cannot be done, where that is known before anything is read."""


@dataclass(frozen=True)
class _Source:
    """A file that an argument means."""

    path: str
    relative: PurePath
    """Its place below an output folder."""
    problem: TacitError | None = None
    """Why it cannot be read, where that is known already."""


def find(arguments: Sequence[str], suffixes: frozenset[str]) -> list[Task]:
    """Return the files that arguments mean, each once, as tasks that write nothing.

    Args:
        arguments: Files, folders, glob patterns and `-`. What is wrong with one becomes its task's `problem`.
        suffixes: The suffixes that are taken from folders.
    """
    return [Task(source.path, problem=source.problem) for source in _unique(arguments, suffixes)]


def plan(
    arguments: Sequence[str],
    *,
    suffixes: frozenset[str],
    output: str | None,
    output_suffix: str,
    force: bool = False,
) -> list[Task]:
    """Return the files that arguments mean, each once, with where its result goes.

    Args:
        arguments: Files, folders, glob patterns and `-`. What is wrong with one becomes its task's `problem`.
        suffixes: The suffixes that are taken from folders.
        output: A file, a folder, in which the inputs' folders are mirrored, `-` for standard output, or None for a
            result beside each source.
        output_suffix: The suffix of every result that is not named by `output` itself.
        force: Whether files that exist are overwritten; without it they are their tasks' problems.

    Raises:
        InvalidInput: `output` cannot serve all of the inputs.
    """
    sources = _unique(arguments, suffixes)
    several = len(sources) > 1 or len(arguments) > 1 or any(os.path.isdir(argument) for argument in arguments)
    if output == STDIO and several:
        raise InvalidInput(f"standard output must get one file, got {len(sources)}")
    into_folder = output is not None and output != STDIO and (_names_folder(output) or several)
    if into_folder and output is not None and not os.path.isdir(output):
        if os.path.exists(output):
            raise InvalidInput(f"{output} must be a folder for {len(sources)} inputs, got a file")
        if several and PurePath(output).suffix.lower() in IMAGE_SUFFIXES | TACIT_SUFFIXES:
            raise InvalidInput(
                f"{output} must be a folder for {len(sources)} inputs, got the name of a file (end a folder's with /)"
            )
    named = PurePath(output or "").suffix.lower()
    if not into_folder and output_suffix in TACIT_SUFFIXES and named in IMAGE_SUFFIXES:
        raise InvalidInput(f"{output} must have the suffix {output_suffix} of what is written, got that of an image")

    tasks: list[Task] = []
    taken: dict[str, str] = {}
    for source in sources:
        if source.problem is not None:
            tasks.append(Task(source.path, problem=source.problem))
            continue
        if output is not None:
            target = os.path.join(output, _renamed(source.relative, output_suffix, suffixes)) if into_folder else output
        else:
            target = STDIO if source.path == STDIO else _renamed(PurePath(source.path), output_suffix, suffixes)
        problem = _output_problem(source.path, target, taken, force, suffixes)
        if problem is None and target != STDIO:
            taken[os.path.realpath(target)] = source.path
        tasks.append(Task(source.path, target, problem))
    return tasks


def _renamed(path: PurePath, suffix: str, suffixes: frozenset[str]) -> str:
    """Return `path` with `suffix` in place of one of `suffixes`; any other dot belongs to the name (`photo.v2`)."""
    known = path.suffix.lower() in suffixes | IMAGE_SUFFIXES | TACIT_SUFFIXES
    return str(path.with_name((path.stem if known else path.name) + suffix))


def _names_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _output_problem(
    source: str, target: str, taken: dict[str, str], force: bool, suffixes: frozenset[str]
) -> TacitError | None:
    """Return why the result of `source` cannot be written to `target`, or None.

    `taken` has the sources of results before, by their real paths.
    """
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
    return None if force else exists_problem(target)


def _expand(argument: str, suffixes: frozenset[str]) -> Iterator[_Source]:
    """Return the files that one argument means."""
    if argument == STDIO:
        yield _Source(STDIO, PurePath("stdin"))
    elif not argument:
        yield _Source(argument, PurePath(), PathError("the path is empty"))
    elif os.path.isdir(argument):
        yield from _walk(argument, suffixes)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        # A path that is not there gets its task too: reading it reports that, in the system's own words.
        yield _Source(argument, PurePath(PurePath(argument).name))
    else:
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            yield _Source(argument, PurePath(), PathError("no file matches"))
        base = _fixed_part(argument)
        for match in matches:
            if not os.path.isdir(match):
                yield _Source(match, PurePath(os.path.relpath(match, base)))
            elif "**" not in argument:  # as the shell would pass it on; ** has been inside it already
                yield from _walk(match, suffixes)


def _fixed_part(pattern: str) -> str:
    """Return the folder that a glob pattern starts in: `a/b` of `a/b/*/c*.jpg`."""
    while glob.has_magic(pattern):
        pattern = os.path.dirname(pattern)
    return pattern or os.curdir


def _walk(folder: str, suffixes: frozenset[str]) -> Iterator[_Source]:
    """Return the files with these suffixes in a folder and below, in order, but for hidden ones."""
    empty = True
    problems: list[OSError] = []
    for parent, names in walk(folder, hidden=False, onerror=problems.append):
        for name in names:
            if PurePath(name).suffix.lower() in suffixes:
                empty = False
                path = str(PurePath(parent, name))
                yield _Source(path, PurePath(os.path.relpath(path, folder)))
    for problem in problems:
        empty = False
        yield _Source(str(problem.filename), PurePath(), PathError(reason(problem)))
    if empty:
        kind = " or ".join(sorted(suffixes)) if len(suffixes) < 3 else "image"
        yield _Source(folder, PurePath(), PathError(f"no {kind} file in this folder"))


def _unique(arguments: Iterable[str], suffixes: frozenset[str]) -> list[_Source]:
    """Return the files that arguments mean, each once, in order."""
    sources: dict[str, _Source] = {}
    for argument in arguments:
        for source in _expand(argument, suffixes):
            sources.setdefault(source.path if source.path == STDIO else os.path.abspath(source.path), source)
    return list(sources.values())
