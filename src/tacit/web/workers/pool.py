"""A pool of worker processes: bounded, with a time limit per job, and with one retry if a process dies.

    pool = WorkerPool(partial(codecs.load, "tacit-s"), workers=2)
    await pool.start()
    value = await pool.run(function, *args)     # in a worker, where `codecs.worker_codec()` is the codec
    await pool.close()

The standard library's ProcessPoolExecutor breaks as a whole when one of its processes dies, cannot end a job that takes
too long, and cannot send a job to the worker that has seen its image before. So each worker is a process with a pipe,
and a thread of the server waits at the pipe while a job runs.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from tacit.machine import cores
from tacit.web.workers.errors import Closing, Overloaded, WorkerLost
from tacit.web.workers.loop import WorkerJob, WorkerReply
from tacit.web.workers.process import WorkerProcess

P = ParamSpec("P")
T = TypeVar("T")

REMEMBERED_KEYS = 4096  # the pool knows which worker had these images last

logger = logging.getLogger("tacit.web")


class WorkerPool:
    """A fixed number of worker processes and a queue of jobs that wait for them.

    Args:
        setup: What each process does first; it must be picklable.
        workers: The number of processes.
        threads: threads of one job; None divides the cores among the jobs that are running when it starts.
        queue: How many jobs may wait.
        time_limit: Seconds that one job may take.
    """

    def __init__(
        self,
        setup: Callable[[], None],
        *,
        workers: int = 1,
        threads: int | None = None,
        queue: int = 16,
        time_limit: float = 60.0,
    ) -> None:
        self.workers = [WorkerProcess(setup, number) for number in range(workers)]
        self.threads, self.queue, self.time_limit = threads, queue, time_limit
        self.jobs = 0  # running and waiting
        self._background_jobs = 0  # running
        self._mean = 0.5  # seconds of recent jobs
        self._idle: deque[WorkerProcess] = deque()
        self._waiting: deque[asyncio.Future[WorkerProcess]] = deque()
        self._last: OrderedDict[str, WorkerProcess] = OrderedDict()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="tacit-pool")
        self._restarting: set[asyncio.Task[None]] = set()
        self._closing = self._ended = False  # accepts no more jobs; does no more jobs
        self._all_done = asyncio.Event()
        self._all_done.set()

    @property
    def capacity(self) -> int:
        """How many jobs may run and wait at a time."""
        return len(self.workers) + self.queue

    @property
    def running(self) -> int:
        """The number of jobs in workers; a worker that is being replaced counts as busy."""
        return len(self.workers) - len(self._idle)

    @property
    def waiting(self) -> int:
        """The number of jobs that wait for a worker."""
        return len(self._waiting)

    @property
    def restarts(self) -> int:
        """How often a worker was replaced."""
        return sum(max(0, worker.starts - 1) for worker in self.workers)

    @property
    def healthy(self) -> bool:
        """Whether a worker is running and jobs are accepted."""
        return not self._closing and any(worker.alive for worker in self.workers)

    async def start(self) -> None:
        """Start all workers and wait until they are ready.

        Raises:
            TacitError: A worker cannot start.
        """
        outcomes = await asyncio.gather(
            *(self._in_thread(worker.start) for worker in self.workers), return_exceptions=True
        )
        # multiprocessing waits for its processes when the interpreter exits, and these exit only when they are killed
        atexit.register(self._kill)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self.close(0)
                raise outcome
        self._idle.extend(self.workers)

    async def close(self, grace: float = 60.0) -> None:
        """Accept no more jobs, wait at most `grace` seconds for those that were accepted, and end the workers."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._all_done.wait()
        self._ended = True
        self._kill()
        atexit.unregister(self._kill)
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        for worker in self.workers:
            worker.stop()

    def _kill(self) -> None:
        for worker in self.workers:
            worker.kill()

    def check(self) -> None:
        """Check whether a job would be accepted now.

        Raises:
            Overloaded: The queue is full.
            Closing: The service is shutting down.
        """
        if self._closing:
            raise Closing("the service is shutting down")
        if self.jobs >= self.capacity:
            seconds = self.jobs * self._mean / len(self.workers)
            raise Overloaded(f"the queue is full: {self.waiting} jobs are waiting", min(60, max(1, math.ceil(seconds))))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function(*args, **kwargs)` in a worker and return its result.

        The function must be importable in the worker, and its arguments and result picklable. What it raises is raised
        here.

        Raises:
            Overloaded: The queue is full.
            Closing: The service is shutting down.
            TimeLimit: The job took too long.
            WorkerLost: Two workers in turn died of the job.
        """
        return await self.run_near(None, function, *args, **kwargs)

    async def run_near(self, key: str | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the same as `run`, preferring the worker that did the last job of this key if it is idle.

        That worker may have the key's image in memory.
        """
        return await self._run(key, False, function, *args, **kwargs)

    async def run_in_background(
        self, key: str | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do the same as `run` for a result that nobody is in a hurry to see.

        The job runs at low priority, if possible not in the worker that `run_near` would use for this key, and does not
        reduce the threads of other jobs.
        """
        return await self._run(key, True, function, *args, **kwargs)

    async def _run(
        self, key: str | None, background: bool, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self.check()
        self.jobs += 1
        self._all_done.clear()
        try:
            bound = functools.partial(function, **kwargs) if kwargs else function
            try:
                return await self._attempt(key, background, bound, args)
            except WorkerLost:
                if self._ended:
                    raise
                logger.warning("a worker died in %s; trying once more", getattr(function, "__name__", function))
                return await self._attempt(key, background, bound, args)
        finally:
            self.jobs -= 1
            if not self.jobs:
                self._all_done.set()

    async def _attempt(self, key: str | None, background: bool, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        worker = await self._take(key, background)
        sharing = self.running - (0 if background else self._background_jobs)
        job = WorkerJob(function, args, self.threads or max(1, cores() // max(1, sharing)), background)
        self._background_jobs += background
        work = self._threads.submit(worker.call, job, self.time_limit)
        loop = asyncio.get_running_loop()
        # Whoever asked may be gone by then; the worker is free when the job is done, not before.
        work.add_done_callback(lambda done: loop.call_soon_threadsafe(self._done, worker, background, done))
        reply = await asyncio.shield(asyncio.wrap_future(work))
        if reply.error is not None:
            raise reply.error
        value: T = reply.value
        return value

    async def _take(self, key: str | None, background: bool) -> WorkerProcess:
        if self._idle:
            last = self._last.get(key) if key is not None else None
            preferred = [worker for worker in self._idle if (worker is last) != background]
            worker = preferred[0] if preferred else self._idle[0]
            self._idle.remove(worker)
        else:
            place: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                worker = await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._give(place.result())
                else:
                    self._waiting.remove(place)
                raise
        if key is not None and not background:
            self._last[key] = worker
            self._last.move_to_end(key)
            if len(self._last) > REMEMBERED_KEYS:
                self._last.popitem(last=False)
        return worker

    def _done(self, worker: WorkerProcess, background: bool, work: Future[WorkerReply]) -> None:
        self._background_jobs -= background
        if work.cancelled() or work.exception() is not None:
            if self._ended:
                return
            task = asyncio.ensure_future(self._restart(worker))
            self._restarting.add(task)
            task.add_done_callback(self._restarting.discard)
        else:
            self._mean += 0.1 * (work.result().seconds - self._mean)
            self._give(worker)

    async def _restart(self, worker: WorkerProcess) -> None:
        try:
            await self._in_thread(worker.start)
        except Exception as error:
            if not self._ended:
                logger.error("worker %d cannot start: %s", worker.number, error)
        self._give(worker)  # a worker that has not started tries again at its next job

    def _give(self, worker: WorkerProcess) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(worker)
                return
        self._idle.append(worker)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._threads.submit(function))
