"""The reader of bulk runs: tar shards, whole or damaged, and the captions in them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from tacit.bulk.job import BulkJob, StorageKind
from tacit.bulk.readers import read_records
from tacit.bulk.unit import WorkUnit
from tacit.errors import InvalidInput

UNIT = WorkUnit("0", StorageKind.TAR, {"0.tar": ""})
JOB = BulkJob(source="", destination="")


class _Store:
    """A store that has one shard."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        yield io.BytesIO(self._data)


def check(data: bytes) -> None:
    """Read all records of a shard; a damaged one is refused, after the records before the damage."""
    store: Any = _Store(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for record in read_records(UNIT, store, JOB):
                assert record.image is None or isinstance(record.image, bytes)
                assert record.caption is None or record.caption.strip(), "an empty caption"
        except InvalidInput:
            return
