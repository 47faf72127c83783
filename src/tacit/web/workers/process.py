"""The server's handle on one worker process."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable
from typing import Any

from tacit.web.workers.errors import TimeLimit, WorkerLost
from tacit.web.workers.loop import WorkerJob, WorkerReply, main

START_LIMIT = 300.0  # seconds in which a worker must have loaded torch and the weights


class WorkerProcess:
    """A worker process and the server's end of the pipe to it.

    The methods block, so the pool calls them in threads.
    """

    def __init__(self, setup: Callable[[], None], number: int) -> None:
        self.number = number
        self.starts = 0
        self._setup = setup
        self._process: Any = None
        self._connection: Any = None
        self._starting = threading.Lock()  # held while a process is being created and could not be killed yet
        self._killed = False

    @property
    def pid(self) -> int | None:
        """The process id, or None while the process is not running."""
        process = self._process
        return None if process is None else process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        process = self._process  # another thread may set the attribute to None in between
        return process is not None and process.is_alive()

    def start(self) -> None:
        """Start the process, replacing a running one, and wait until it is ready.

        Raises:
            TacitError: The worker could not load its model.
            WorkerLost: The process died, or the worker was killed.
            TimeLimit: The process was not ready in time.
        """
        self.stop()
        self.starts += 1
        # spawn: a fork of a process that has threads may deadlock
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

    def call(self, job: WorkerJob, limit: float) -> WorkerReply:
        """Send a job to the worker and wait for its reply; a worker that has died is started again first.

        Args:
            job: The job.
            limit: Seconds that it may take.

        Raises:
            WorkerLost: The process died.
            TimeLimit: The job was not done in time; the process has been ended.
        """
        if not self.alive:
            self.start()
        return self._exchange(pickle.dumps(job, pickle.HIGHEST_PROTOCOL), limit)

    def _exchange(self, message: bytes | None, limit: float) -> WorkerReply:
        try:
            if message is not None:
                self._connection.send_bytes(message)
            if self._connection.poll(limit):
                reply: WorkerReply = pickle.loads(self._connection.recv_bytes())
                return reply
        except (EOFError, OSError) as error:
            self.stop()
            raise WorkerLost("the worker process died") from error
        self.stop()
        raise TimeLimit(f"not done within {limit:g} seconds")

    def kill(self) -> None:
        """End the process for good; a thread that is waiting for it gets a WorkerLost."""
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
