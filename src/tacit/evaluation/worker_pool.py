"""Worker processes that do tasks, and survive codecs that crash."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

from tacit.evaluation.codecs.protocol import EvalCodec
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.journal import JournalEntry
from tacit.evaluation.measuring import TaskProblem, attempt
from tacit.evaluation.pixels import pixel_count
from tacit.evaluation.tasks import EvalTask
from tacit.machine import available_memory, cores

BYTES_PER_PIXEL = 700  # held while an image is measured; SSIMULACRA 2 and MS-SSIM take 540, tacit-s 160
WORKER_BYTES = 400 << 20  # an interpreter with numpy, torch and a small model

TaskResult = tuple[EvalTask, JournalEntry | TaskProblem]
"""A task, and its journal entry or why there is none."""


def worker_count(jobs: int | None, datasets: Sequence[Dataset], codecs: Sequence[EvalCodec]) -> int:
    """Return how many processes to use: one for each core, or fewer where memory is short.

    Each process must be able to hold the largest image.

    Args:
        jobs: The number that the user chose, or None.
        datasets: The images to be measured.
        codecs: The codecs to be measured.
    """
    if jobs is not None:
        return jobs
    free = available_memory()
    if free is None:
        return cores()
    largest = max((pixel_count(image.path) for dataset in datasets for image in dataset.images), default=0)
    held = max((codec.held_memory for codec in codecs), default=0)
    need = WORKER_BYTES + largest * BYTES_PER_PIXEL + held
    return max(1, min(cores(), int(free * 0.8) // need))


def run_tasks(tasks: Sequence[EvalTask], processes: int, unusable: Set[str]) -> Iterator[TaskResult]:
    """Do tasks in several processes, or in this one where `processes` is 1, and yield results as they arrive.

    Args:
        tasks: The tasks.
        processes: How many processes to use.
        unusable: The names of codecs whose remaining tasks are skipped; the caller adds to it while results arrive.

    Raises:
        PathError: The disk is full.
    """
    if processes == 1:
        for task in tasks:
            if task.codec.name not in unusable:
                yield task, attempt(task)
        return
    suspects: list[EvalTask] = []
    rest = list(tasks)
    while rest:
        lost: list[EvalTask] = []
        yield from _pooled(rest, processes, unusable, lost, suspects)
        rest = lost
    for task in suspects:  # a process died while these ran: one at a time, to see which of them was the cause
        again: list[EvalTask] = []
        yield from _pooled([task], 1, unusable, [], again)
        for one in again:
            yield one, TaskProblem("its process died: out of memory, or the codec crashed")


def _pooled(
    tasks: Sequence[EvalTask], processes: int, unusable: Set[str], lost: list[EvalTask], suspects: list[EvalTask]
) -> Iterator[TaskResult]:
    """Yield results from a pool of processes.

    If a process dies, the tasks that it may have been doing are added to `suspects`, and those that had not begun to
    `lost`.
    """
    remaining = list(reversed(tasks))
    running: dict[Future[JournalEntry | TaskProblem], EvalTask] = {}
    with _pool(min(processes, len(tasks)), tasks[0].threads) as pool:
        try:
            while remaining or running:
                while remaining and len(running) < processes:
                    task = remaining[-1]
                    if task.codec.name not in unusable:
                        with _ctrl_c_put_off():
                            running[pool.submit(_attempt_in_worker, task)] = task
                    remaining.pop()
                if not running:
                    continue
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            suspects += running.values()
            lost += reversed(remaining)


@contextmanager
def _pool(processes: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    # Not forked: a fork of a process in which torch has threads can hang.
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(threads,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ctrl_c_put_off() -> Iterator[None]:
    """Put Ctrl-C off in this thread, and in a process that starts meanwhile until it is ready for it (`_start`)."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # else it starts with the first process, and allows Ctrl-C again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_interrupted = threading.Event()  # in a worker: Ctrl-C came while it started, or between two tasks


def _remember(number: int, frame: FrameType | None) -> None:
    _interrupted.set()


def _start(threads: int) -> None:
    """Prepare a worker, before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, _remember)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _attempt_in_worker(task: EvalTask) -> JournalEntry | TaskProblem:
    """Do a task in a worker, unless Ctrl-C came before; it ends the work in progress and any program that it runs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return TaskProblem("interrupted") if _interrupted.is_set() else attempt(task)
    except KeyboardInterrupt:
        return TaskProblem("interrupted")
    finally:
        signal.signal(signal.SIGINT, _remember)
