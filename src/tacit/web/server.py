"""The application behind uvicorn."""

from __future__ import annotations

import math
from typing import cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from tacit.web import problems
from tacit.web.middleware import SAFETY_HEADERS
from tacit.web.service import Service


class ProblemProtocol(H11Protocol):
    """uvicorn's protocol, whose answer to what is not HTTP is a problem like all others; no application sees it."""

    def send_400_response(self, msg: str) -> None:
        """Answer with a problem and close the connection, unless another answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = {**SAFETY_HEADERS, "cache-control": "no-store", "connection": "close"}
            problem = problems.response(400, msg, headers=headers)
            for event in (
                h11.Response(status_code=400, headers=problem.raw_headers, reason=b"Bad Request"),
                h11.Data(data=bytes(problem.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def uvicorn_config(app: FastAPI, *, access_log: bool = False) -> uvicorn.Config:
    """Return how uvicorn should serve an application of `create_app`."""
    service = cast(Service, app.state.service)
    return uvicorn.Config(
        app,
        http=ProblemProtocol,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(service.settings.shutdown_time),
    )
