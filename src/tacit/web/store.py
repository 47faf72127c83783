"""Bytes kept in memory for a while: results that can be asked for again, uploads that are worked on again."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Stored:
    """Bytes that are kept for a while. digest: hexadecimal SHA-256, by which they are found; kept_until: of
    time.monotonic."""

    data: bytes
    media_type: str
    digest: str
    kept_until: float


class Store:
    """Bytes in memory, by their digest: the oldest go when there are more than `limit` bytes or they are `seconds` old.

    One that is stored or asked for again counts as new.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self.bytes = 0
        self._kept: OrderedDict[str, Stored] = OrderedDict()

    def put(self, data: bytes, media_type: str) -> Stored:
        """Keep them, if they are no more than the limit."""
        digest = hashlib.sha256(data).hexdigest()
        self._drop(digest)
        stored = Stored(data, media_type, digest, time.monotonic() + self.seconds)
        if len(data) <= self.limit:
            self._kept[digest] = stored
            self.bytes += len(data)
        self._tidy()
        return stored

    def get(self, digest: str) -> Stored | None:
        """What is kept by this digest, if it still is; for as long again."""
        self._tidy()
        found = self._kept.get(digest)
        return None if found is None else self.put(found.data, found.media_type)

    def _tidy(self) -> None:
        now = time.monotonic()
        while self._kept:
            digest, oldest = next(iter(self._kept.items()))
            if self.bytes <= self.limit and oldest.kept_until > now:
                return
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        found = self._kept.pop(digest, None)
        if found is not None:
            self.bytes -= len(found.data)
