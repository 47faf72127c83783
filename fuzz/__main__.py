"""Runs one target: `python -m fuzz TARGET [options of libFuzzer]`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import atheris

from fuzz.targets import TARGETS

HERE = Path(__file__).parent
WORK = HERE.parent / "runs" / "fuzz"
"""Where a run keeps the inputs that reach new branches, and what it has found."""


def main() -> None:
    """Fuzz until something is found, or until the number of executions in `-runs` is reached."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__} The targets are {', '.join(TARGETS)}.")
    name, *options = sys.argv[1:]
    about, work = TARGETS[name], WORK / name
    for folder in ("corpus", "findings"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=list(about.instrumented)):
        target: Any = importlib.import_module(f"fuzz.{name}")

    def mutate(data: bytes, limit: int, seed: int) -> bytes:
        return bytes(target.mutate(data, limit, seed, atheris.Mutate))

    defaults = [f"-max_len={about.max_len}", f"-dict={HERE}/{about.dictionary}.dict"]
    defaults += [f"-artifact_prefix={work}/findings/", "-timeout=20", "-rss_limit_mb=3000", "-print_final_stats=1"]
    arguments = [sys.argv[0], *defaults, *options, str(work / "corpus"), str(HERE / "corpus" / name)]
    extra = {"custom_mutator": mutate} if hasattr(target, "mutate") else {}
    atheris.Setup(arguments, target.check, **extra)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
