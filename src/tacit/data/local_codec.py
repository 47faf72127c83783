"""The codec that data loaders' processes decode with, one for each process."""

from __future__ import annotations

import os
from functools import lru_cache

from tacit.codec import Codec


def local_codec(precision: str = "auto") -> Codec:
    """Return this process' codec, on the CPU.

    A forked process makes a codec of its own: a thread of its parent may have held the locks of the parent's.
    """
    return _codec(os.getpid(), precision)


@lru_cache(maxsize=2)
def _codec(_process: int, precision: str) -> Codec:
    return Codec(precision=precision)
