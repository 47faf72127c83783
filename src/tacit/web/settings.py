"""What an operator decides about the service."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field

from tacit import weights
from tacit.codec.options import DEFAULT_FINDER, EFFORTS
from tacit.errors import InvalidInput
from tacit.machine import cores


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """How the service runs.

    Raises:
        InvalidInput: A value is out of its range.
    """

    model: str = weights.DEFAULT
    """A model's name or a weights file: what encodes if a request names no model. Files name what decodes them."""

    text_encoder: str | None = None
    """A text encoder for that model instead of its own, as `tacit.Codec` takes it."""

    finder: str = DEFAULT_FINDER
    """What finds what captions name, for every model, as `tacit.Codec` takes it."""

    workers: int = field(default_factory=cores)
    """The number of worker processes, each with a codec."""

    threads: int | None = None
    """CPU threads of one job; None divides the cores among the jobs that are running."""

    queue: int = 16
    """How many jobs may wait for a worker; the next one is answered 429."""

    time_limit: float = 60.0
    """Seconds that one job may take in a worker."""

    body_limit: int = 64 << 20
    """The largest request, in bytes."""

    body_time: float = 60.0
    """Seconds in which a request's body must arrive."""

    header_time: float = 20.0
    """Seconds in which a request's headers must arrive, and for which a new connection may be silent."""

    pixel_limit: int = 50_000_000
    """The largest width x height of an image or a file."""

    effort_limit: int = EFFORTS[-1]
    """The highest level of effort that a request may ask for; 0 for none."""

    cache: int = 128 << 20
    """Bytes of results, and as many of uploads, that are kept in memory."""

    cache_time: float = 600.0
    """Seconds for which they are kept."""

    shutdown_time: float = 60.0
    """Seconds that requests have to finish when the service ends."""

    token: str | None = None
    """What clients must send as `Authorization: Bearer`; None lets everybody in."""

    hosts: tuple[str, ...] = ()
    """The names, without ports, under which the service answers; none for any name."""

    origins: tuple[str, ...] = ()
    """The origins of other pages that may use the service (CORS)."""

    caption_url: str | None = None
    """An endpoint with OpenAI's protocol that writes captions, which may cost money; None for no captions."""

    caption_model: str = "gpt-4o"
    """The endpoint's model."""

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "body_limit", "pixel_limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(f"{name} must be at least 1, got {value}")
        if isinstance(self.effort_limit, bool) or self.effort_limit not in EFFORTS:
            raise InvalidInput(f"effort_limit must be a whole number from 0 to {EFFORTS[-1]}, got {self.effort_limit}")
        for name in ("queue", "cache"):
            if getattr(self, name) < 0:
                raise InvalidInput(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("time_limit", "body_time", "header_time", "cache_time", "shutdown_time"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidInput(f"{name} must be a positive number of seconds, got {getattr(self, name)}")
        if self.token is not None and not (self.token and self.token.isascii() and self.token.isprintable()):
            raise InvalidInput("token must have at least one character, and only characters that a header can hold")
        # A worker would look for a relative path in another folder if this process changed its own.
        if os.path.isfile(self.model):
            object.__setattr__(self, "model", os.path.abspath(self.model))
