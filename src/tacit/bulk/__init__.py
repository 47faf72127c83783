"""Whole data sets of images and captions to `.tacit` and back, shard by shard, on one machine or a Ray cluster.

    source ─► plan: units of work ─► Ray Data: a pool of workers, each with a model ─► destination, manifest

One unit of work is one shard. `tacit.bulk.conversion.convert` does all of it: it reads, codes, writes and verifies
the shard, and leaves an entry in the manifest. Ray only decides which worker does which unit, so that nothing but small
descriptions and reports travels between processes, and a lost worker costs the shard that it was at.
"""

from tacit.bulk.cluster import Cluster
from tacit.bulk.driver import Interrupted, NoImages, RunFailed, TooManyFailures, run
from tacit.bulk.job import BoxSource, BulkJob, StorageKind
from tacit.bulk.summary import RunOutcome, RunSummary

__all__ = [
    "BoxSource",
    "BulkJob",
    "Cluster",
    "Interrupted",
    "NoImages",
    "RunFailed",
    "RunOutcome",
    "RunSummary",
    "StorageKind",
    "TooManyFailures",
    "run",
]
