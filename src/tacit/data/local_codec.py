"""The codec of a data loader's process."""

from __future__ import annotations

import os
from functools import lru_cache

from tacit.codec import Codec


def local_codec(precision: str = "auto") -> Codec:
    """The codec of this process, on the CPU. A forked process makes its own: a thread of its parent may have held the
    locks of the other one."""
    return _codec(os.getpid(), precision)


@lru_cache(maxsize=2)
def _codec(_process: int, precision: str) -> Codec:
    return Codec(precision=precision)
