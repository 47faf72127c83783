"""Bytes kept in memory for a while: results that can be fetched again, uploads that are worked on again."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredBytes:
    """Bytes that are kept for a while."""

    data: bytes
    media_type: str
    digest: str  # hexadecimal SHA-256 of the data, by which they are found
    kept_until: float  # a time of time.monotonic()


class ByteStore:
    """Bytes in memory, by their digest.

    The oldest are dropped when all together are more than `limit` bytes, and each when it is `seconds` old. Bytes that
    are stored or read again count as new.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self.bytes = 0
        self._kept: OrderedDict[str, StoredBytes] = OrderedDict()

    def put(self, data: bytes, media_type: str) -> StoredBytes:
        """Keep the data, unless they alone are more than the limit."""
        digest = hashlib.sha256(data).hexdigest()
        self._drop(digest)
        stored = StoredBytes(data, media_type, digest, time.monotonic() + self.seconds)
        if len(data) <= self.limit:
            self._kept[digest] = stored
            self.bytes += len(data)
        self._tidy()
        return stored

    def get(self, digest: str) -> StoredBytes | None:
        """Return the bytes of a digest, which count as new from now on, or None if they are not kept."""
        self._tidy()
        stored = self._kept.get(digest)
        return None if stored is None else self.put(stored.data, stored.media_type)

    def _tidy(self) -> None:
        now = time.monotonic()
        while self._kept:
            digest, oldest = next(iter(self._kept.items()))
            if self.bytes <= self.limit and oldest.kept_until > now:
                return
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        stored = self._kept.pop(digest, None)
        if stored is not None:
            self.bytes -= len(stored.data)
