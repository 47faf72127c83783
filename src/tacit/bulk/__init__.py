"""Whole data sets of images and captions to `.tacit` and back, shard by shard, on one machine or a Ray cluster.

    source ─► plan: units of work ─► Ray Data: a pool of workers, each with a model ─► destination, manifest

One unit is one shard, and `tacit.bulk.convert.convert` does all of it: reads, codes, writes, verifies, and leaves an
entry in the manifest. Ray only says which worker does which unit, so that nothing but small descriptions and reports
travels between processes, and a lost worker costs the shard that it was at.
"""

from tacit.bulk.cluster import Cluster
from tacit.bulk.driver import Interrupted, TooManyFailures, run
from tacit.bulk.job import Job, Kind
from tacit.bulk.summary import Outcome, Summary

__all__ = ["Cluster", "Interrupted", "Job", "Kind", "Outcome", "Summary", "TooManyFailures", "run"]
