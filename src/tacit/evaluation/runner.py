"""Running codecs over images: real files, several processes, and results that survive an interruption."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from tacit.evaluation.codecs.protocol import EvalCodec, Quality
from tacit.evaluation.cost import Cost
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.journal import Journal, JournalEntry
from tacit.evaluation.measurements import Failure, Measurement, Measurements
from tacit.evaluation.measuring import TaskProblem
from tacit.evaluation.metrics import Metric
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.set_measurements import measure_sets
from tacit.evaluation.tasks import EvalTask, plan_tasks
from tacit.evaluation.worker_pool import run_tasks, worker_count
from tacit.machine import cores

JOURNAL = "results.jsonl"


def run(
    datasets: Sequence[Dataset],
    codecs: Sequence[EvalCodec],
    metrics: Sequence[Metric],
    qualities: Mapping[str, Sequence[Quality]],
    out: Path,
    progress: EvalProgress,
    *,
    jobs: int | None = None,
    fresh: bool = False,
) -> Measurements:
    """Measure every codec on every image at its qualities.

    What fails is reported and left out. Ctrl-C or an error keeps what is done, and the same call continues from there.

    Args:
        datasets: The images.
        codecs: The codecs.
        metrics: The metrics.
        qualities: Each codec's qualities, by the codec's name.
        out: The folder of the journal and of the codecs' files.
        progress: Is told how the run proceeds.
        jobs: How many processes to use; 1 for this process alone, None for as many as cores and memory allow.
        fresh: Whether to ignore an earlier journal.

    Raises:
        PathError: Results cannot be written, for instance because the disk is full.
    """
    tasks, failures = plan_tasks(datasets, codecs, metrics, qualities, out)
    for failure in failures:
        progress.say(str(failure))
    processes = worker_count(jobs, datasets, codecs)
    tasks = [dataclasses.replace(task, threads=max(1, cores() // processes)) for task in tasks]
    with Journal(out / JOURNAL, fresh=fresh) as journal:
        waiting = [rest for task in tasks if (rest := task.remaining(journal.entries.get(task.key))) is not None]
        progress.begin(len(tasks), len(tasks) - len(waiting))
        unusable: set[str] = set()
        for task, result in run_tasks(waiting, processes, unusable):
            if isinstance(result, TaskProblem):
                if result.scope == "codec":  # it would fail on every other image too
                    unusable.add(task.codec.name)
                failure = _failure(task, result)
                if failure not in failures:
                    failures.append(failure)
                    progress.say(str(failure))
                progress.done(f"{task} failed")
            else:
                journal.append(result)
                progress.done(str(task))
        image_metrics = {metric.name for metric in metrics if metric.level == "image"}
        rows = [_row(task, journal.entries[task.key], image_metrics) for task in tasks if task.key in journal.entries]
        failed = {(f.dataset, f.image, f.codec, f.quality) for f in failures}
        rows = [row for row in rows if (row.dataset, row.image, row.codec, row.quality) not in failed]
        sets, set_failures = measure_sets(tasks, rows, [m for m in metrics if m.level == "set"], journal)
        for failure in set_failures:
            progress.say(str(failure))
    return Measurements(tuple(rows), tuple(sets), (*failures, *set_failures))


def _failure(task: EvalTask, problem: TaskProblem) -> Failure:
    """Name only what the problem concerns, so that it is reported once."""
    return Failure(
        dataset=task.dataset,
        image="" if problem.scope == "codec" else task.image.name,
        codec="" if problem.scope == "image" else task.codec.name,
        quality=task.quality if problem.scope == "task" else None,
        reason=problem.reason,
    )


def _row(task: EvalTask, entry: JournalEntry, metrics: set[str]) -> Measurement:
    return Measurement(
        dataset=task.dataset,
        image=task.image.name,
        codec=task.codec.name,
        quality=task.quality,
        width=entry["width"],
        height=entry["height"],
        bytes=entry["bytes"],
        file=task.file,
        encode=Cost(*entry["encode"]),
        decode=Cost(*entry["decode"]),
        metrics={name: value for name, value in entry["metrics"].items() if name in metrics},
        notes={name: text for name, text in entry["notes"].items() if name in metrics},
    )
