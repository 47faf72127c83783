"""The application behind uvicorn."""

from __future__ import annotations

import math
from typing import cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from tacit.web import problems
from tacit.web.middleware import SAFE
from tacit.web.service import Service


class Protocol(H11Protocol):
    """uvicorn's; its answer to what is no HTTP, which no application sees, is a problem like all others."""

    def send_400_response(self, msg: str) -> None:
        """Say so and close, unless an answer is on its way already."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            problem = problems.response(400, msg, headers={**SAFE, "cache-control": "no-store", "connection": "close"})
            for event in (
                h11.Response(status_code=400, headers=problem.raw_headers, reason=b"Bad Request"),
                h11.Data(data=bytes(problem.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def configured(app: FastAPI, *, access_log: bool = False) -> uvicorn.Config:
    """How uvicorn shall serve `app`, of `create_app`."""
    service = cast(Service, app.state.service)
    return uvicorn.Config(
        app,
        http=Protocol,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(service.settings.shutdown_time),
    )
