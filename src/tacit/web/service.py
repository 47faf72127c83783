"""What requests share, and how a route gets at it."""

from __future__ import annotations

import contextlib
import hmac
from functools import partial
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from tacit import weights
from tacit.errors import PathError, UnknownModel, WeightsError
from tacit.web import worker
from tacit.web.pool import WorkerPool
from tacit.web.settings import Settings
from tacit.web.store import Store


class Service:
    """One running service."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pool = WorkerPool(
            partial(worker.load, settings.model, settings.text_encoder),
            workers=settings.workers,
            threads=settings.threads,
            queue=settings.queue,
            time_limit=settings.time_limit,
        )
        self.results = Store(settings.cache, settings.cache_time)
        self.uploads = Store(settings.cache, settings.cache_time)
        self.bodies = 0  # in memory
        self.captions = 0  # being written

    def models(self) -> dict[str, weights.WeightsInfo]:
        """The weights on this machine by name, those that encode where nothing is said first. A broken file is none."""
        chosen = weights.locate(self.settings.model)
        found: dict[str, weights.WeightsInfo] = {}
        for model in (str(chosen), *weights.available_models()):
            with contextlib.suppress(WeightsError, PathError):
                about = weights.describe(weights.locate(model))
                found.setdefault(about.name, about)
        return found

    def model(self, name: str | None) -> str | None:
        """What a request may name, as workers take it: never a path. Raises: UnknownModel."""
        if name is None:
            return None
        known = self.models()
        if name not in known:
            raise UnknownModel(f"model {name!r} is not known here; there are: {', '.join(known)}")
        return None if name == next(iter(known)) else str(known[name].path)


def service(request: Request) -> Service:
    """The service that a request came to."""
    return cast(Service, request.app.state.service)


ServiceDep = Annotated[Service, Depends(service)]

_bearer = HTTPBearer(auto_error=False, description="Only where the operator has set a token.")


async def authorized(
    service: ServiceDep, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Let only those in who send the token, where the operator has set one."""
    token = service.settings.token
    if token is not None and (given is None or not hmac.compare_digest(given.credentials.encode(), token.encode())):
        raise HTTPException(401, "send the token as Authorization: Bearer", {"www-authenticate": "Bearer"})
