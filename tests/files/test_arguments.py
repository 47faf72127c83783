"""Arguments: the files that they mean, and where results go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tacit.errors import InvalidInput
from tacit.files import IMAGE_SUFFIXES, STDIO, TACIT_SUFFIXES, find, plan


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.png", "notes.txt", "deep/c.JPG", "deep/.hidden.jpg", "deep/er/d.webp", ".dot/e.jpg"):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        Path(name).touch()


def sources(*arguments: str) -> list[str]:
    return [task.source for task in find(arguments, IMAGE_SUFFIXES)]


def problems(*arguments: str) -> list[str]:
    return [str(task.problem) for task in find(arguments, IMAGE_SUFFIXES) if task.problem is not None]


def outputs(*arguments: str, output: str | None = None, force: bool = False) -> list[str]:
    tasks = plan(arguments, suffixes=IMAGE_SUFFIXES, output=output, output_suffix=".tacit", force=force)
    return [task.output if task.problem is None else f"! {task.problem}" for task in tasks]


def test_files_of_folders_and_patterns_come_once_and_in_order() -> None:
    assert sources(".") == ["a.jpg", "b.png", "deep/c.JPG", "deep/er/d.webp"]
    assert sources("b.png", "./b.png", "*.png", "a.jpg") == ["b.png", "a.jpg"]
    assert sources("d*") == ["deep/c.JPG", "deep/er/d.webp"]
    assert sources("**/*.webp", STDIO, STDIO) == ["deep/er/d.webp", STDIO]
    assert sources("notes.txt") == ["notes.txt"]  # named outright


def test_what_is_wrong_with_an_argument_is_its_tasks_problem() -> None:
    Path("empty").mkdir()
    assert problems("", "*.gif", "empty", "missing.jpg") == [
        "the path is empty",
        "no file matches",
        "no image file in this folder",
    ]


def test_results_are_beside_their_sources_or_in_a_mirrored_folder() -> None:
    assert outputs("a.jpg", "deep") == ["a.tacit", "deep/c.tacit", "deep/er/d.tacit"]
    assert outputs("a.jpg", "deep", output="out") == ["out/a.tacit", "out/c.tacit", "out/er/d.tacit"]
    assert outputs("a.jpg", output="out/") == ["out/a.tacit"]
    assert outputs("a.jpg", output="one.tacit") == ["one.tacit"]
    assert outputs(STDIO) == [STDIO]


def test_results_that_cannot_be_written_are_problems() -> None:
    Path("a.png").touch()
    Path("b.tacit").touch()
    assert outputs("a.jpg", "a.png", "b.png") == [
        "a.tacit",
        "! would be written to a.tacit, as a.jpg is",
        "! b.tacit exists already (-f/--force overwrites it)",
    ]
    assert outputs("b.png", force=True) == ["b.tacit"]
    assert outputs("b.tacit", force=True) == ["! not an image by its name, and would be written over itself"]


@pytest.mark.parametrize(
    ("arguments", "output", "message"),
    [
        (["a.jpg", "b.png"], STDIO, "standard output must get one file, got 2"),
        (["a.jpg", "b.png"], "notes.txt", "notes.txt must be a folder for 2 inputs, got a file"),
        (["a.jpg", "b.png"], "both.tacit", "both.tacit must be a folder for 2 inputs, got the name of a file"),
        (["a.jpg"], "b.JPG", r"b.JPG must have the suffix \.tacit of what is written, got that of an image"),
    ],
)
def test_an_output_that_cannot_serve_is_refused(arguments: list[str], output: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plan(arguments, suffixes=IMAGE_SUFFIXES, output=output, output_suffix=".tacit")


def test_tacit_files_are_taken_for_decoding() -> None:
    Path("a.tacit").touch()
    (task,) = plan(["."], suffixes=TACIT_SUFFIXES, output=None, output_suffix=".png")
    assert (task.source, task.output) == ("a.tacit", "a.png")
