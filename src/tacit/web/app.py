"""The application: routes, errors, headers, and the life of the workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

from fastapi import Depends, FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

import tacit
from tacit.web import captioning, document, preview, problems, v1
from tacit.web.metrics import Metrics
from tacit.web.middleware import Surroundings
from tacit.web.service import Service, ServiceDep, authorized
from tacit.web.settings import Settings

STATIC = Path(str(resources.files("tacit"))) / "web" / "static"


class Health(BaseModel):
    """Whether the service takes work."""

    status: str
    version: str
    workers: int


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service as an ASGI application; its workers start and end with it. Run it in one process only: the workers
    are the others."""
    service = Service(settings or Settings())
    settings = service.settings
    metrics = Metrics(service)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await service.pool.start()
        try:
            yield
        finally:
            await service.pool.close(settings.shutdown_time)

    app = FastAPI(
        title="tacit",
        version=tacit.__version__,
        summary="A codec for photographs that reads their captions.",
        lifespan=life,
        docs_url=None,  # both load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    document.install(app, token=settings.token is not None)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["authorization", "content-type", "range", "if-range", "if-none-match"],
            expose_headers=["*"],
        )
    app.add_middleware(Surroundings, metrics=metrics, hosts=settings.hosts)
    app.include_router(v1.router)
    app.include_router(captioning.router)
    app.include_router(preview.router)

    @app.get("/healthz", summary="Whether the service takes work", responses=problems.documented(503))
    async def healthz(service: ServiceDep) -> Health:
        """200 with a worker that is there, else 503."""
        if not service.pool.healthy:
            return problems.response(503, "no worker is there", headers={"retry-after": "1"})  # type: ignore[return-value]
        return Health(status="ok", version=tacit.__version__, workers=len(service.pool.workers))

    @app.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        dependencies=[Depends(authorized)],
        responses=problems.documented(),
    )
    async def prometheus() -> Response:
        """For Prometheus, in its text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    if STATIC.is_dir():
        # Not mounted: a mount at / would answer for routes that are asked with a method that they do not have.
        app.router.default = StaticFiles(directory=STATIC, html=True)
    return app
