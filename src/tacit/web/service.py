"""The running service: what its requests share."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Annotated, cast

from fastapi import Depends, Request

from tacit import weights
from tacit.errors import PathError, UnknownModel, WeightsError
from tacit.web.preview.trials import TrialStore
from tacit.web.settings import ServiceSettings
from tacit.web.store import ByteStore
from tacit.web.workers import codecs
from tacit.web.workers.pool import WorkerPool


class Service:
    """One running service: its workers, what it keeps in memory, and its counters."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.pool = WorkerPool(
            partial(codecs.load, settings.model, settings.text_encoder, settings.finder),
            workers=settings.workers,
            threads=settings.threads,
            queue=settings.queue,
            time_limit=settings.time_limit,
        )
        self.results = ByteStore(settings.cache, settings.cache_time)
        self.uploads = ByteStore(settings.cache, settings.cache_time)
        self.trials = TrialStore()
        self.bodies = 0  # request bodies in memory
        self.captions = 0  # captions being written

    def models(self) -> dict[str, weights.WeightsInfo]:
        """Return the weights on this machine by name, the default of this service first; broken files are left out."""
        default = weights.locate(self.settings.model)
        models: dict[str, weights.WeightsInfo] = {}
        for model in (str(default), *weights.available_models()):
            with contextlib.suppress(WeightsError, PathError):
                info = weights.describe(weights.locate(model))
                models.setdefault(info.name, info)
        return models

    def model(self, name: str | None) -> str | None:
        """Return the path of the weights that a request names, as workers take it; None for the default model.

        A request can name a model, but never a path.

        Raises:
            UnknownModel: There is no model of that name.
        """
        if name is None:
            return None
        models = self.models()
        if name not in models:
            raise UnknownModel(f"model must be one of {', '.join(models)}, got {name!r}")
        return None if name == next(iter(models)) else str(models[name].path)


def service(request: Request) -> Service:
    """Return the service that a request came to."""
    return cast(Service, request.app.state.service)


ServiceDep = Annotated[Service, Depends(service)]
