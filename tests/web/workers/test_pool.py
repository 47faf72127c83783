"""The pool of worker processes: its limits, lost workers, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support import pool_work as work
from tacit.errors import InvalidInput
from tacit.web.workers.codecs import worker_codec
from tacit.web.workers.errors import Closing, Overloaded, TimeLimit, WorkerLost
from tacit.web.workers.loop import WorkerJob
from tacit.web.workers.pool import WorkerPool
from tacit.web.workers.process import WorkerProcess


@asynccontextmanager
async def started_pool(**options: Any) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(work.nothing, **options)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_work_is_done_elsewhere_and_errors_come_back() -> None:
    async def test() -> None:
        async with started_pool(threads=3) as pool:
            pids = {await pool.run(work.sleep, 0) for _ in range(3)}
            assert pids == {pool.workers[0].pid}
            assert os.getpid() not in pids
            assert await pool.run(work.join, "a", "b", by="-") == "a-b"
            with pytest.raises(KeyError, match="oops") as caught:
                await pool.run(work.faulty)
            assert "in faulty" in caught.value.__notes__[0]  # where it was
            with pytest.raises(RuntimeError, match="Unsendable"):
                await pool.run(work.unsendable)
            with pytest.raises(RuntimeError, match="only a worker has a codec"):
                await pool.run(worker_codec)
            with pytest.raises(InvalidInput, match="quality 101"):
                await pool.run(_ours)
            assert (pool.restarts, pool.jobs, pool.running) == (0, 0, 0)

    run(test)


def _ours() -> None:
    raise InvalidInput("quality 101: 0 to 100 are possible")


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_job_done_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with started_pool(workers=1) as pool:
            first = pool.workers[0].pid
            second = await pool.run(work.die_once, tmp_path / "marker")
            assert second != first
            assert pool.restarts == 1
            with pytest.raises(WorkerLost):
                await pool.run(work.die)
            assert await pool.run(work.sleep, 0) not in (first, second)
            assert pool.restarts == 3
            # between jobs, where nobody looks
            pid = pool.workers[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert await pool.run(work.sleep, 0) != pid

    run(test)


def test_a_job_that_takes_too_long_is_ended() -> None:
    async def test() -> None:
        async with started_pool(time_limit=0.3) as pool:
            pid = pool.workers[0].pid
            with pytest.raises(TimeLimit, match=r"not done within 0\.3 seconds"):
                await pool.run(work.sleep, 60)
            assert await pool.run(work.sleep, 0) != pid

    run(test)


def test_jobs_wait_in_order_and_not_too_many_of_them(tmp_path: Path) -> None:
    async def test() -> None:
        async with started_pool(workers=1, queue=2) as pool:
            order: list[int] = []

            async def job(number: int) -> None:
                await pool.run(work.sleep, 0.1)
                order.append(number)

            jobs = [asyncio.create_task(job(n)) for n in range(3)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert (pool.running, pool.waiting) == (1, 2)
            with pytest.raises(Overloaded, match="the queue is full: 2 jobs are waiting") as caught:
                await pool.run(work.sleep, 0)
            assert caught.value.retry_after >= 1
            jobs[1].cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            assert order == [0, 2]
            assert (pool.running, pool.waiting, pool.jobs) == (0, 0, 0)

    run(test)


def test_one_who_does_not_wait_leaves_the_worker_busy() -> None:
    async def test() -> None:
        async with started_pool(workers=1) as pool:
            job = asyncio.create_task(pool.run(work.sleep, 0.3))
            await asyncio.sleep(0.1)
            job.cancel()
            await asyncio.sleep(0)
            assert pool.running == 1
            begun = time.monotonic()
            await pool.run(work.sleep, 0)
            assert time.monotonic() - begun > 0.1
            assert pool.restarts == 0

    run(test)


def test_an_image_goes_to_the_worker_that_knows_it() -> None:
    async def test() -> None:
        async with started_pool(workers=2) as pool:
            first = await pool.run_near("a", work.sleep, 0)
            other = await pool.run_near("b", work.sleep, 0)
            assert first != other
            for key, pid in [("a", first), ("a", first), ("b", other), ("a", first), ("b", other)]:
                assert await pool.run_near(key, work.sleep, 0) == pid
            # busy: another is better than waiting
            job = asyncio.create_task(pool.run_near("a", work.sleep, 0.3))
            await asyncio.sleep(0.05)
            assert await pool.run_near("a", work.sleep, 0) == other
            assert await job == first

    run(test)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_what_is_done_aside_leaves_the_others_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.web.workers.pool.cores", lambda: 4)
    threads: list[int] = []
    call = WorkerProcess.call

    def noted(worker: WorkerProcess, job: WorkerJob, limit: float) -> Any:
        threads.append(job.threads)
        return call(worker, job, limit)

    monkeypatch.setattr(WorkerProcess, "call", noted)

    async def test() -> None:
        async with started_pool(workers=2) as pool:
            first, usual = await pool.run_near("a", work.priority)
            other, low = await pool.run_in_background("a", work.priority)
            assert other != first  # where its image is not at hand, and nobody waits for it
            assert low > usual
            assert await pool.run_near("a", work.priority) == (first, usual)
            threads.clear()
            slow = asyncio.create_task(pool.run_in_background("a", work.sleep, 0.3))
            await asyncio.sleep(0.05)
            assert await pool.run_near("a", work.sleep, 0) == first
            assert await slow == other
            assert threads == [4, 4]
            with pytest.raises(KeyError, match="oops"):
                await pool.run_in_background(None, work.faulty)
            threads.clear()
            await asyncio.gather(*(pool.run(work.sleep, 0.2) for _ in range(2)))
            assert threads == [4, 2]
            with pytest.raises(WorkerLost):
                await pool.run_in_background(None, work.die)

    run(test)


def test_the_end_finishes_what_was_taken(tmp_path: Path) -> None:
    async def test() -> None:
        async with started_pool(workers=1) as pool:
            pid = pool.workers[0].pid
            assert pid is not None
            jobs = [asyncio.create_task(pool.run(work.sleep, 0.2, tmp_path / str(n))) for n in range(2)]
            await asyncio.sleep(0.05)
            closing = asyncio.create_task(pool.close(30))
            await asyncio.sleep(0.05)
            assert not pool.healthy
            with pytest.raises(Closing):
                await pool.run(work.sleep, 0)
            assert set(await asyncio.gather(*jobs)) == {pid}
            await closing
            assert sorted(os.listdir(tmp_path)) == ["0", "1"]
            assert gone(pid)

    run(test)


def test_the_end_does_not_wait_for_ever(tmp_path: Path) -> None:
    async def test() -> None:
        async with started_pool(workers=1) as pool:
            job = asyncio.create_task(pool.run(work.sleep, 60, tmp_path / "never"))
            await asyncio.sleep(0.05)
            await pool.close(0.1)
            with pytest.raises(WorkerLost):
                await job
            assert pool.restarts == 0

    run(test)


def test_a_pool_whose_workers_cannot_start_says_why() -> None:
    async def test() -> None:
        pool = WorkerPool(work.fail, workers=2)
        with pytest.raises(ValueError, match="no weights"):
            await pool.start()
        assert not any(worker.alive for worker in pool.workers)

    run(test)


def test_a_worker_is_killed_whether_its_process_has_started_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = WorkerProcess(work.nothing, 0)

    def fails(process: object) -> None:
        raise OSError("no more processes")

    with monkeypatch.context() as patch:
        patch.setattr("multiprocessing.context.SpawnProcess.start", fails)
        with pytest.raises(OSError, match="no more processes"):
            worker.start()
    assert not worker.alive
    assert worker.pid is None
    worker.stop()
    worker.kill()
    with pytest.raises(WorkerLost, match="ended"):  # for good
        worker.start()
    assert not worker.alive


ORPHANS = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from support import pool_work
from tacit.web.workers.pool import WorkerPool

async def main():
    pool = WorkerPool(pool_work.nothing, workers=2)
    await pool.start()
    print(*[worker.pid for worker in pool.workers], flush=True)
    {end}

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["import os; os.kill(os.getpid(), 9)", "raise SystemExit(3)"])
def test_workers_end_with_the_server_however_it_ends(tmp_path: Path, end: str) -> None:
    script = tmp_path / "server.py"
    script.write_text(ORPHANS.format(folder=str(Path(work.__file__).parents[1]), end=end))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == (-9 if "kill" in end else 3), done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)
