"""Work in processes that can be lost: bounded, timed, and retried once.

    pool = WorkerPool(partial(worker.load, "tacit-s"), workers=2)
    await pool.start()
    value = await pool.run(function, *args)     # in a worker, where tacit.web.worker.codec() is the codec
    await pool.close()

The standard library's ProcessPoolExecutor gives up as a whole when one of its processes dies, cannot end a job that
takes too long, and cannot send a job to the worker that has seen its image before; so each worker is a process with a
pipe here, and a thread waits at it while a job runs.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import math
import multiprocessing
import pickle
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from tacit.errors import TacitError
from tacit.machine import cores
from tacit.web.worker import Job, Reply, main

P = ParamSpec("P")
T = TypeVar("T")

START_LIMIT = 300.0  # seconds for a worker to load torch and the weights
REMEMBERED = 4096  # keys whose worker is known

logger = logging.getLogger("tacit.web")


class PoolError(TacitError):
    """A job that was not done. retry_after: seconds after which to try again."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(PoolError):
    """As many jobs wait as may wait."""


class Closing(PoolError):
    """The service is ending and takes no more work."""


class WorkerLost(PoolError):
    """The worker process died; for a job that was retried, the second one too."""


class TimeLimit(PoolError):
    """The job took too long and was ended."""


class Worker:
    """One process and our end of its pipe. Its methods block; the pool calls them in threads."""

    def __init__(self, setup: Callable[[], None], number: int) -> None:
        self.number = number
        self.starts = 0
        self._setup = setup
        self._process: Any = None
        self._connection: Any = None
        self._starting = threading.Lock()  # there is no process to kill before it is open again
        self._killed = False

    @property
    def pid(self) -> int | None:
        """None while it is not running."""
        process = self._process
        return None if process is None else process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        process = self._process  # which another thread may take away
        return process is not None and process.is_alive()

    def start(self) -> None:
        """Start the process, again if need be, and wait until it is ready. Raises: TacitError, WorkerLost."""
        self.stop()
        self.starts += 1
        # spawn: a fork of a process that has threads may stand still for ever
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=main, args=(theirs, self._setup), name=f"tacit-worker-{self.number}", daemon=True
        )
        try:
            with self._starting:
                if self._killed:
                    raise WorkerLost("the worker was ended")
                process.start()
                self._process, self._connection = process, ours
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reply = self._exchange(None, START_LIMIT)
        if reply.error is not None:
            raise reply.error

    def call(self, job: Job, limit: float) -> Reply:
        """Have a job done. Raises: WorkerLost, TimeLimit; the process is over then."""
        if not self.alive:
            self.start()
        return self._exchange(pickle.dumps(job, pickle.HIGHEST_PROTOCOL), limit)

    def _exchange(self, message: bytes | None, limit: float) -> Reply:
        try:
            if message is not None:
                self._connection.send_bytes(message)
            if self._connection.poll(limit):
                reply: Reply = pickle.loads(self._connection.recv_bytes())
                return reply
        except (EOFError, OSError) as error:
            self.stop()
            raise WorkerLost("the worker process died") from error
        self.stop()
        raise TimeLimit(f"not done within {limit:g} seconds")

    def kill(self) -> None:
        """End the process, for good, while another thread may wait for it, which then gets a WorkerLost."""
        with self._starting:
            self._killed = True
            process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


class WorkerPool:
    """A fixed number of workers, and the jobs that wait for them.

    setup: what each process does first; it can be pickled. workers: processes. threads: of torch for one job; None
    shares the cores among the jobs that run when it starts. queue: jobs that may wait. time_limit: seconds of one job.
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
        self.workers = [Worker(setup, number) for number in range(workers)]
        self.threads, self.queue, self.time_limit = threads, queue, time_limit
        self.jobs = 0  # running and waiting
        self._asides = 0  # running
        self._mean = 0.5  # seconds of a job, lately
        self._idle: deque[Worker] = deque()
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._last: OrderedDict[str, Worker] = OrderedDict()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="tacit-pool")
        self._restarting: set[asyncio.Task[None]] = set()
        self._closing = self._ended = False  # takes no more jobs; does none any more
        self._all_done = asyncio.Event()
        self._all_done.set()

    @property
    def capacity(self) -> int:
        """Jobs that may run and wait at a time."""
        return len(self.workers) + self.queue

    @property
    def running(self) -> int:
        """Jobs in workers; a worker that is being replaced counts."""
        return len(self.workers) - len(self._idle)

    @property
    def waiting(self) -> int:
        """Jobs that wait for a worker."""
        return len(self._waiting)

    @property
    def restarts(self) -> int:
        """Workers that were replaced."""
        return sum(max(0, worker.starts - 1) for worker in self.workers)

    @property
    def healthy(self) -> bool:
        """Whether a worker is there and jobs are taken."""
        return not self._closing and any(worker.alive for worker in self.workers)

    async def start(self) -> None:
        """Start all workers and wait until they are ready. Raises: TacitError, where one cannot start."""
        started = await asyncio.gather(
            *(self._in_thread(worker.start) for worker in self.workers), return_exceptions=True
        )
        # multiprocessing waits for its processes when the interpreter ends, and these end when they are told to
        atexit.register(self._kill)
        for outcome in started:
            if isinstance(outcome, BaseException):
                await self.close(0)
                raise outcome
        self._idle.extend(self.workers)

    async def close(self, grace: float = 60.0) -> None:
        """Take no more jobs, finish those that were taken, within `grace` seconds, and end the workers."""
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
        """Raises: Overloaded, Closing, where a job would not be taken now."""
        if self._closing:
            raise Closing("the service is ending")
        if self.jobs >= self.capacity:
            seconds = self.jobs * self._mean / len(self.workers)
            raise Overloaded(f"{self.waiting} jobs are waiting already", min(60, max(1, math.ceil(seconds))))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args, **kwargs)` in a worker: a function that can be imported, and values that can be pickled.

        Raises: what it raises; Overloaded, Closing, TimeLimit; WorkerLost, where two workers died of it.
        """
        return await self.run_near(None, function, *args, **kwargs)

    async def run_near(self, key: str | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, if it is idle in the worker that did the last job of this key, where its image may be at hand."""
        return await self._run(key, False, function, *args, **kwargs)

    async def run_aside(self, key: str | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for what somebody is in no hurry to see: at low priority, away from the worker that `run_near`
        would take for this key, and without a share in the threads of the others."""
        return await self._run(key, True, function, *args, **kwargs)

    async def _run(
        self, key: str | None, aside: bool, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self.check()
        self.jobs += 1
        self._all_done.clear()
        try:
            bound = functools.partial(function, **kwargs) if kwargs else function
            try:
                return await self._attempt(key, aside, bound, args)
            except WorkerLost:
                if self._ended:
                    raise
                logger.warning("a worker died at %s; once more", getattr(function, "__name__", function))
                return await self._attempt(key, aside, bound, args)
        finally:
            self.jobs -= 1
            if not self.jobs:
                self._all_done.set()

    async def _attempt(self, key: str | None, aside: bool, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        worker = await self._take(key, aside)
        sharing = self.running - (0 if aside else self._asides)
        job = Job(function, args, self.threads or max(1, cores() // max(1, sharing)), aside)
        self._asides += aside
        work = self._threads.submit(worker.call, job, self.time_limit)
        loop = asyncio.get_running_loop()
        # Whoever asked may have gone by then; the worker is free when it is done, not before.
        work.add_done_callback(lambda done: loop.call_soon_threadsafe(self._done, worker, aside, done))
        reply = await asyncio.shield(asyncio.wrap_future(work))
        if reply.error is not None:
            raise reply.error
        value: T = reply.value
        return value

    async def _take(self, key: str | None, aside: bool) -> Worker:
        if self._idle:
            last = self._last.get(key) if key is not None else None
            wanted = [worker for worker in self._idle if (worker is last) != aside]
            worker = wanted[0] if wanted else self._idle[0]
            self._idle.remove(worker)
        else:
            place: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                worker = await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._give(place.result())
                else:
                    self._waiting.remove(place)
                raise
        if key is not None and not aside:
            self._last[key] = worker
            self._last.move_to_end(key)
            if len(self._last) > REMEMBERED:
                self._last.popitem(last=False)
        return worker

    def _done(self, worker: Worker, aside: bool, work: Future[Reply]) -> None:
        self._asides -= aside
        if work.cancelled() or work.exception() is not None:
            if self._ended:
                return
            task = asyncio.ensure_future(self._restart(worker))
            self._restarting.add(task)
            task.add_done_callback(self._restarting.discard)
        else:
            self._mean += 0.1 * (work.result().seconds - self._mean)
            self._give(worker)

    async def _restart(self, worker: Worker) -> None:
        try:
            await self._in_thread(worker.start)
        except Exception as error:
            if not self._ended:
                logger.error("worker %d cannot start: %s", worker.number, error)
        self._give(worker)  # one that has not started tries again at its next job

    def _give(self, worker: Worker) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(worker)
                return
        self._idle.append(worker)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._threads.submit(function))
