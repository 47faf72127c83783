"""The table of targets: modules with `check`, and with `mutate` where a target changes files in a way of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is fuzzed, and how."""

    instrumented: tuple[str, ...]
    """The packages and modules whose branches guide the search."""
    max_len: int
    """The most bytes of an input."""
    dictionary: str
    """The name of the dictionary: words of the format, which mutations put into inputs."""


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "container": Target(instrumented=("tacit.container",), max_len=2048, dictionary="tacit"),
        "info": Target(instrumented=("tacit.container", "tacit.fileinfo"), max_len=2048, dictionary="tacit"),
        "decode": Target(
            instrumented=("tacit.container", "tacit.codec", "tacit.entropy", "tacit.image"),
            max_len=2048,
            dictionary="tacit",
        ),
        "image": Target(
            instrumented=("tacit.image", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.TiffImagePlugin"),
            max_len=8192,
            dictionary="image",
        ),
        "metadata": Target(instrumented=("tacit.image",), max_len=4096, dictionary="image"),
        "shard": Target(
            instrumented=("tacit.bulk.readers", "tacit.captions", "tarfile"), max_len=16384, dictionary="shard"
        ),
    }
)
"""The targets by the names of their modules."""
