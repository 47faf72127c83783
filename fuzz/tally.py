"""Adds up what fuzzing has done, by its logs, into results/fuzz.json: `python -m fuzz.tally`."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
from pathlib import Path

from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "runs" / "fuzz"  # as `make fuzz` leaves them


def tally(log: str) -> tuple[int, int, int]:
    """Return the executions and the seconds of the runs in a log of libFuzzer, and the last size of the corpus."""
    executions = seconds = 0
    ended = re.compile(r"Done (\d+) runs in (\d+) second")
    for count, took in ended.findall(log):
        executions, seconds = executions + int(count), seconds + int(took)
    *_, last = ended.split(log)
    if counts := re.findall(r"^#(\d+)\t.* exec/s: (\d+)", last, re.MULTILINE):  # of a run that did not end by itself
        executions += int(counts[-1][0])
        seconds += int(counts[-1][0]) // max(1, int(counts[-1][1]))
    corpus = re.findall(r" corp: (\d+)/", log)
    return executions, seconds, int(corpus[-1]) if corpus else 0


def main() -> None:
    """Write the sums of all targets that have a log."""
    targets = {}
    for name in TARGETS:
        log = LOGS / name / "log"
        if log.is_file():
            executions, seconds, corpus = tally(log.read_text(errors="replace"))
            targets[name] = {"executions": executions, "seconds": seconds, "corpus": corpus}
    result = {
        "command": 'make fuzz FUZZ_ARGS="-runs=N"',
        "atheris": importlib.metadata.version("atheris"),
        "python": platform.python_version(),
        "pillow": importlib.metadata.version("pillow"),
        "targets": targets,
    }
    (ROOT / "results" / "fuzz.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
