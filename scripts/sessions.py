"""Sessions of the command line and of Python that documents show: they are run, and what they print is shown.

A line that begins with `tacit ` is a command of the shell, and one that begins with `>>> ` is Python. A session runs in
an empty folder with copies of scikit-image's photographs, as on a machine without the extra `find`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import tempfile
from code import InteractiveInterpreter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tacit import cli

CAPTION = "a close-up of a tabby cat with green eyes"


def _cat() -> None:
    _save("chelsea", "chelsea.png")


def _cat_and_astronaut() -> None:
    _cat()
    _save("astronaut", "astronaut.png")


def _folder() -> None:
    _save("astronaut", "photos/astronaut.jpg")
    _save("chelsea", "photos/cat.jpg")
    _save("rocket", "photos/trip/rocket.jpg")
    Path("photos/cat.txt").write_text(f"{CAPTION}\n")


def _save(name: str, path: str) -> None:
    from tacit.demo.samples import sample_image

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sample_image(name).save(path, quality=92)  # PNG has no quality


@dataclass(frozen=True)
class Session:
    """What a document shows somebody do."""

    prepare: Callable[[], object]
    """Writes the files that are there before, into the current folder."""
    lines: tuple[str, ...]
    """Commands, or lines of Python."""
    fails: tuple[int, ...] = ()
    """Which of the lines show an error, counted from 0."""


SESSIONS = {
    "session": Session(
        _cat,
        (
            f'tacit encode chelsea.png -c "{CAPTION}"',
            "tacit decode chelsea.tacit -o restored.png",
            "tacit encode chelsea.png --size 3kB -o small.tacit",
        ),
    ),
    "session-python": Session(
        _cat,
        (
            ">>> import tacit",
            f'>>> data = tacit.encode("chelsea.png", "{CAPTION}", size=3000)',
            ">>> image = tacit.decode(data)",
            ">>> len(data), image.size",
        ),
    ),
    "session-start": Session(
        _cat,
        (
            "tacit encode chelsea.png",
            "tacit encode chelsea.png --size 5kB -o small.tacit",
            "tacit encode chelsea.png --psnr 34 -o good.tacit",
            f'tacit encode chelsea.png --size 3kB -c "{CAPTION}" --store-caption -o named.tacit',
            "tacit decode named.tacit -o restored.png",
            "tacit info named.tacit",
        ),
    ),
    "session-folder": Session(
        _folder,
        (
            "tacit encode photos/ -o small/ -q 40",
            "tacit encode photos/ -o small/ -q 40",
            "tacit decode small/ -o back/ --format jpeg",
            "tacit decode small/ -o thumbs/ --max-side 128",
        ),
        fails=(1,),
    ),
    "session-keep": Session(
        _cat_and_astronaut,
        (
            'tacit find astronaut.png "the woman\'s face" -o where.png',
            'tacit encode astronaut.png --bpp 0.15 -c "the woman\'s face" -o steered.tacit',
            'tacit encode astronaut.png --bpp 0.15 --keep "the woman\'s face=33dB" -o kept.tacit',
            "tacit encode astronaut.png --bpp 0.15 --keep-box 136,18,166,177=33dB -o box.tacit",
            'tacit encode astronaut.png --bpp 0.15 --keep "the red bus=33dB" -o bus.tacit',
        ),
        fails=(4,),
    ),
    "session-compare": Session(
        _folder,
        ("tacit eval photos/ -o report --limit 1 --codecs tacit-s,jpeg --metrics psnr --points 2 -j 1 --quiet",),
    ),
}


def transcript(name: str) -> str:
    """Run a session and return it with what it printed, as a block of Markdown.

    Raises:
        SystemExit: A command fails that is not one to fail, or the other way round.
    """
    from tacit.finding.cue_finder import core_cues

    session = SESSIONS[name]
    interpreter = InteractiveInterpreter()
    python = session.lines[0].startswith(">>> ")
    shown = ["```pycon" if python else "```console"]
    with _empty_folder(), patch("tacit.finding.cue_finder.default_cues", core_cues):
        session.prepare()
        for number, line in enumerate(session.lines):
            if python:
                shown += [line, *_python(interpreter, line.removeprefix(">>> "))]
            else:
                shown += [f"$ {line}", *_command(line, fails=number in session.fails)]
    return "\n".join([*shown, "```\n"])


@contextlib.contextmanager
def _empty_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _command(line: str, *, fails: bool) -> list[str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        status = cli.main(shlex.split(line)[1:])
    if bool(status) != fails:
        raise SystemExit(f"{line}: exit status {status}\n{output.getvalue()}")
    return output.getvalue().rstrip().splitlines()


def _python(interpreter: InteractiveInterpreter, line: str) -> list[str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        interpreter.runsource(line)
    if "Traceback" in output.getvalue():
        raise SystemExit(f"{line}\n{output.getvalue()}")
    return output.getvalue().rstrip().splitlines()
