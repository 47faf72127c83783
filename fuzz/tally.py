"""Adds what fuzzing has done, by its logs, to results/fuzz.json: `python -m fuzz.tally`.

A log that is counted is renamed to `log.counted`, so that each counts once, and the sums outlive the logs.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping
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
    """Add the sums of all targets that have a log to the results."""
    path = ROOT / "results" / "fuzz.json"
    before = json.loads(path.read_text())["targets"] if path.is_file() else {}
    logs = [LOGS / name / "log" for name in TARGETS if (LOGS / name / "log").is_file()]
    result = {
        "command": 'make fuzz FUZZ_ARGS="-runs=N"',
        "atheris": importlib.metadata.version("atheris"),
        "python": platform.python_version(),
        "pillow": importlib.metadata.version("pillow"),
        "targets": added(before, {log.parent.name: log.read_text(errors="replace") for log in logs}),
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    for log in logs:
        with log.with_name("log.counted").open("ab") as counted:
            counted.write(log.read_bytes())
        log.unlink()


def added(before: Mapping[str, Mapping[str, int]], logs: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Return the sums of earlier runs and of those in logs, by target."""
    targets = {name: dict(row) for name, row in before.items()}
    for name, log in logs.items():
        executions, seconds, corpus = tally(log)
        row = targets.setdefault(name, {"executions": 0, "seconds": 0, "corpus": 0})
        row["executions"] += executions
        row["seconds"] += seconds
        row["corpus"] = corpus or row["corpus"]
    return {name: targets[name] for name in TARGETS if name in targets}


if __name__ == "__main__":
    main()
