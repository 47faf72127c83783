"""The pool of workers on Ray, each of which holds a model and does one unit at a time."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from tacit.bulk.cluster import Cluster
from tacit.bulk.job import BulkJob
from tacit.bulk.manifest import ManifestEntry
from tacit.bulk.unit import WorkUnit
from tacit.errors import TacitError

if TYPE_CHECKING:
    from tacit.bulk.engine import Engine

LOST_AT_START = 3  # workers in a row that may be lost before they have their model
UNITS_AT_ONCE = 4096  # given to Ray Data together: each is a block of its own


def run_units(
    units: Sequence[WorkUnit], job: BulkJob, cluster: Cluster
) -> Generator[tuple[str, ManifestEntry | str], None, None]:
    """Convert units on a pool of workers; this process must be connected to Ray.

    A unit whose worker is lost is given to another one. The caller may close the generator before its end.

    Yields:
        The name of each unit as it ends, with its entry or why there is none.

    Raises:
        TacitError: No worker can begin, or the cluster is lost.
    """
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a shard may take as long as it takes
    context.max_consecutive_actor_init_deaths = LOST_AT_START
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it logs as errors is raised, too
    low, high = cluster.workers
    for start in range(0, len(units), UNITS_AT_ONCE):
        part = units[start : start + UNITS_AT_ONCE]
        rows = [{"unit": pickle.dumps(unit)} for unit in part]
        size = min(len(part), high)
        reports = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            Worker,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=min(low, size), max_size=size),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus or None,
        )
        try:
            for batch in reports.iter_batches(batch_size=None, prefetch_batches=0):
                for report in batch["report"]:
                    name, result = pickle.loads(report)
                    if isinstance(result, TacitError):
                        raise result
                    yield name, result
        except ray.exceptions.RayError as error:
            raise TacitError(f"Ray has given up: {' '.join(str(error).split())[:500]}") from error


class Worker:
    """A worker: holds a model, and does one unit at a time."""

    def __init__(self, job: BulkJob) -> None:
        from tacit.bulk.engine import make_engine

        self.job = job
        self.engine: Engine | TacitError
        try:
            self.engine = make_engine(job)
        except TacitError as error:  # reported with the first unit: Ray would report it in a hundred lines
            self.engine = error
        except Exception as error:
            self.engine = TacitError(f"a worker cannot begin: {type(error).__name__}: {error}")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Convert the pickled units of a batch, and return pickled reports: names with entries or reasons."""
        from tacit.bulk.conversion import attempt

        reports = []
        for row in batch["unit"]:
            unit: WorkUnit = pickle.loads(row)
            result = self.engine if isinstance(self.engine, TacitError) else attempt(unit, self.job, self.engine)
            reports.append(pickle.dumps((unit.name, result)))
        return {"report": reports}
