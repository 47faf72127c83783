"""The application: its routes, its errors, its headers, and the life of its workers."""

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
from tacit.web import openapi, problems, v1, viewer
from tacit.web.access import authorized
from tacit.web.metrics import ServiceMetrics
from tacit.web.middleware import HEALTH, ServiceMiddleware
from tacit.web.preview import routes as preview
from tacit.web.service import Service, ServiceDep
from tacit.web.settings import ServiceSettings

STATIC = Path(str(resources.files("tacit"))) / "web" / "static"


class HealthResponse(BaseModel):
    """The health of the service."""

    status: str
    version: str
    workers: int


def create_app(settings: ServiceSettings | None = None) -> FastAPI:
    """Return the service as an ASGI application; its workers start and end with it.

    Run it in one process only: the workers are the other processes.
    """
    service = Service(settings or ServiceSettings())
    settings = service.settings
    metrics = ServiceMetrics(service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.pool.start()
        try:
            yield
        finally:
            await service.pool.close(settings.shutdown_time)

    app = FastAPI(
        title="tacit",
        version=tacit.__version__,
        summary="A learned image codec that reads captions.",
        lifespan=lifespan,
        docs_url=None,  # both pages of documentation load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    openapi.install(app, token=settings.token is not None)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["authorization", "content-encoding", "content-type", "range", "if-range", "if-none-match"],
            expose_headers=["*"],
        )
    app.add_middleware(ServiceMiddleware, metrics=metrics, hosts=settings.hosts)
    app.include_router(v1.router)
    app.include_router(preview.router)
    app.include_router(viewer.router)

    @app.get(HEALTH, summary="Check the health of the service", responses=problems.documented(503))
    async def healthz(service: ServiceDep) -> HealthResponse:
        """The status is 200 if at least one worker is running, and 503 otherwise."""
        if not service.pool.healthy:
            return problems.response(503, "no worker is running", headers={"retry-after": "1"})  # type: ignore[return-value]
        return HealthResponse(status="ok", version=tacit.__version__, workers=len(service.pool.workers))

    @app.get(
        "/metrics",
        summary="Get the metrics for Prometheus",
        response_class=Response,
        dependencies=[Depends(authorized)],
        responses=problems.documented(),
    )
    async def prometheus() -> Response:
        """The answer has Prometheus' text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    if STATIC.is_dir():
        # Not mounted: a mount at / would answer for routes that are called with a method that they do not have.
        app.router.default = StaticFiles(directory=STATIC, html=True)
    return app
