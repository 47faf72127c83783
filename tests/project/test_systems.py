"""What other systems lack is not used unasked: seen in the sources, since the tests run on few systems."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from support.paths import ROOT

SOURCES = sorted((ROOT / "src" / "tacit").rglob("*.py"))
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
PARTLY = ("mmap", "os", "select", "signal", "socket", "time")  # modules of which Windows lacks some names
METHODS = {"add_signal_handler"}  # raises NotImplementedError there
KEYWORDS = {"pass_fds", "preexec_fn"}
ASKED_FOR = {
    "entropy/pool.py": {"os.memfd_create", "pass_fds"},  # `coders` makes no pool where there is no such memory
    "evaluation/codecs/program.py": {"os.WNOHANG", "os.wait4"},  # `_run_program` asks before it calls `_wait`
}
"""What is used in other places than where it is asked for."""

pytestmark = pytest.mark.skipif(not SOURCES, reason="no sources here")


@cache
def lacking() -> frozenset[str]:
    """The names of modules that Windows lacks, by the types of the standard library that mypy has."""
    spec = importlib.util.find_spec("mypy")
    if spec is None or spec.origin is None:
        pytest.skip("mypy is not here")
    stubs = Path(spec.origin).parent / "typeshed" / "stdlib"
    found = set()
    for module in PARTLY:
        path = stubs / f"{module}.pyi"
        tree = ast.parse((path if path.is_file() else stubs / module / "__init__.pyi").read_text(encoding="utf-8"))
        there = set(defined(tree.body, windows=True))
        found |= {f"{module}.{name}" for name in defined(tree.body, windows=False) if name not in there}
    return frozenset(found)


def defined(body: Sequence[ast.stmt], windows: bool) -> Iterator[str]:
    """Yield the names that a stub defines on Windows, or on any system."""
    for node in body:
        match node:
            case ast.If():
                chosen = on_windows(node.test) if windows else None
                yield from defined(node.body if chosen is not False else [], windows)
                yield from defined(node.orelse if chosen is not True else [], windows)
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name
            case ast.ImportFrom(names=aliases):
                yield from (alias.asname or alias.name for alias in aliases)


def on_windows(test: ast.expr) -> bool | None:
    """Return whether a condition holds on Windows; None where that depends on something else."""
    match test:
        case ast.Compare(left=ast.Attribute(attr="platform"), ops=[operator], comparators=[ast.Constant(value=name)]):
            return (name == "win32") == isinstance(operator, ast.Eq)
        case ast.BoolOp(op=operator, values=values):
            decided = isinstance(operator, ast.Or)  # what one value decides
            return decided if decided in map(on_windows, values) else None
    return None


def used(source: str) -> set[str]:
    """Return what a module uses that Windows lacks, except where it asks whether that is there."""
    tree = ast.parse(source)
    if not any(name for node in ast.walk(tree) for name in missing(node)):
        return set()
    return {name for node in unguarded(tree) for name in missing(node)}


def missing(node: ast.AST) -> Iterator[str]:
    """Yield what Windows lacks of what a node names."""
    match node:
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases if alias.name in MODULES)
        case ast.ImportFrom(module=str(module), names=aliases):
            yield from [module] if module in MODULES else []
            yield from (f"{module}.{a.name}" for a in aliases if f"{module}.{a.name}" in lacking())
        case ast.Attribute(value=ast.Name(id=module), attr=name) if f"{module}.{name}" in lacking():
            yield f"{module}.{name}"
        case ast.Attribute(attr=name) if name in METHODS:
            yield name
        case ast.keyword(arg=str(name)) if name in KEYWORDS:
            yield name


def unguarded(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is in it, without what runs only where something has been asked for.

    A condition asks with `hasattr` or for the system; an `except` of ImportError or AttributeError asks, too; and a
    function that returns when a condition of that kind holds has asked for what follows.
    """
    yield node
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) if asks(test):
            return
        case ast.Try(handlers=handlers) if any(
            h.type is not None and re.search("ImportError|AttributeError|NotImplementedError", ast.unparse(h.type))
            for h in handlers
        ):
            return
        case ast.BoolOp(values=[first, *_]) if asks(first):
            return
        case ast.With(items=[ast.withitem(context_expr=context)]) if "suppress(AttributeError" in ast.unparse(context):
            return
    for _, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from unguarded(child)
            if isinstance(child, ast.If) and asks(child.test) and isinstance(child.body[-1], ast.Return | ast.Raise):
                break


def asks(test: ast.expr) -> bool:
    """Return whether a condition asks for the system or for what it has."""
    return re.search(r"\bhasattr\(|sys\.platform|os\.name", ast.unparse(test)) is not None


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import os\nos.fork()", {"os.fork"}),
        ("import os\nos.getpid()", set()),
        ("from os import getuid", {"os.getuid"}),
        ("import fcntl", {"fcntl"}),
        ("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None", set()),
        ("if hasattr(os, 'fork'):\n    os.fork()", set()),
        ("a = os.getuid() if hasattr(os, 'getuid') else 0", set()),
        ("def f():\n    if os.name == 'nt':\n        return\n    os.fork()", set()),
        ("def f():\n    if x:\n        return\n    os.fork()", {"os.fork"}),
        ("signal.signal(signal.SIGTERM, f)", set()),
        ("signal.signal(signal.SIGUSR1, f)", {"signal.SIGUSR1"}),
        ("loop.add_signal_handler(1, f)", {"add_signal_handler"}),
        ("with contextlib.suppress(AttributeError, OSError):\n    os.setpriority(a, b, c)", set()),
        ("Popen(a, pass_fds=(1,))", {"pass_fds"}),
    ],
)
def test_what_windows_lacks_is_found_in_sources(source: str, names: set[str]) -> None:
    assert used(source) == names


@pytest.mark.slow
def test_what_windows_lacks_is_used_where_it_was_asked_for() -> None:
    found = {path.relative_to(ROOT / "src" / "tacit").as_posix(): used(path.read_text("utf-8")) for path in SOURCES}
    assert {path: names for path, names in found.items() if names} == ASKED_FOR


def calls(*names: str) -> Iterator[tuple[Path, str, ast.Call]]:
    """Yield the calls of functions and methods of some names."""
    for path in SOURCES:
        source = path.read_text("utf-8")
        if not any(name in source for name in names):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
                if called in names:
                    yield path, called, node


def test_processes_are_spawned_on_every_system() -> None:
    for path, name, call in calls("get_context", "set_start_method", "ProcessPoolExecutor"):
        if name == "ProcessPoolExecutor":
            assert "get_context(" in ast.unparse(call), path
        else:
            assert [ast.unparse(argument) for argument in call.args] == ["'spawn'"], path


def test_texts_have_the_same_bytes_on_every_system() -> None:
    """Windows would take another encoding than UTF-8, and write other ends of lines."""
    for path, name, call in calls("read_text", "write_text"):
        text = ast.unparse(call)
        if "'/proc/" in text or path.name == "machine.py":  # Linux's own
            continue
        keywords = {keyword.arg for keyword in call.keywords}
        assert "encoding" in keywords or len(call.args) > (name == "write_text"), f"{path}: {text}"
        assert name == "read_text" or "newline" in keywords, f"{path}: {text}"
