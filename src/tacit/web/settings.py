"""What an operator decides about the service."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field

from tacit import weights
from tacit.errors import InvalidInput
from tacit.machine import cores


@dataclass(frozen=True)
class Settings:
    """How the service runs.

    model: a name or a weights file, for encoding where a request names no other; decoding takes whatever weights a file
    names. text_encoder: of that model, instead of its own; as `tacit.Codec` takes it. workers: processes, each with a
    codec. threads: of one job; None shares the cores among the jobs that are running. queue: jobs that may
    wait for a worker; one more is answered 429. time_limit: seconds of one job in a worker. body_limit: bytes of a
    request. body_time: seconds in which a request's body has to arrive. pixel_limit: width x height of an image or a
    file. cache: bytes of results, and of uploads, that are kept in memory. cache_time: seconds they are kept.
    shutdown_time: seconds that requests have to finish in when the service ends. token: what a client has to send as
    `Authorization: Bearer`. origins: of pages elsewhere that may use the service (CORS). caption_url: an endpoint that
    speaks OpenAI's protocol and that captions may be asked of, which may cost money; None asks nobody.
    caption_model: the name of its model.

    Raises: InvalidInput.
    """

    model: str = weights.DEFAULT
    text_encoder: str | None = None
    workers: int = field(default_factory=cores)
    threads: int | None = None
    queue: int = 16
    time_limit: float = 60.0
    body_limit: int = 64 << 20
    body_time: float = 60.0
    pixel_limit: int = 50_000_000
    cache: int = 128 << 20
    cache_time: float = 600.0
    shutdown_time: float = 60.0
    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    caption_url: str | None = None
    caption_model: str = "gpt-4o"

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "body_limit", "pixel_limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(f"{name} {value}: at least 1 is needed")
        for name in ("queue", "cache"):
            if getattr(self, name) < 0:
                raise InvalidInput(f"{name} {getattr(self, name)}: 0 or more is needed")
        for name in ("time_limit", "body_time", "cache_time", "shutdown_time"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidInput(f"{name} {getattr(self, name)}: a positive number of seconds is needed")
        if self.token is not None and not (self.token and self.token.isascii() and self.token.isprintable()):
            raise InvalidInput("the token needs at least one character, and none that a header cannot have")
        # a worker reads files by other folders than ours if ours changes
        if os.path.isfile(self.model):
            object.__setattr__(self, "model", os.path.abspath(self.model))
