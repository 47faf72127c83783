"""The application behind uvicorn."""

from __future__ import annotations

import asyncio
import http
import math
from typing import cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from tacit.web import problems
from tacit.web.middleware import SAFETY_HEADERS
from tacit.web.service import Service


class LimitedProtocol(H11Protocol):
    """uvicorn's protocol with a limit on the time that headers take, and with problems for what is not HTTP.

    uvicorn's own limit holds between two requests only, and until the first byte of the second one: a client that then
    sends a byte now and again could keep its connection for ever.
    """

    _waiting: asyncio.TimerHandle | None = None
    _silent = True  # nothing has been received since the connection was made

    @property
    def _header_time(self) -> float:
        return cast(Service, cast(FastAPI, self.config.app).state.service).settings.header_time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; unless they complete a request's headers, the time for these goes on."""
        self._silent = False
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._waiting is None and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self._header_time, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        """Close the connection, with an answer where a request has begun."""
        self._waiting = None
        if self.transport.is_closing():
            return
        if self._silent or self.conn.their_state is not h11.IDLE:
            self.transport.close()
        else:
            self._refuse(408, f"the headers of a request did not arrive within {self._header_time:g} seconds")

    def send_400_response(self, msg: str) -> None:
        """Answer with a problem and close the connection, unless another answer has begun."""
        self._refuse(400, msg)

    def _refuse(self, status: int, detail: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = {**SAFETY_HEADERS, "cache-control": "no-store", "connection": "close"}
            problem = problems.response(status, detail, headers=headers)
            reason = http.HTTPStatus(status).phrase.encode()
            for event in (
                h11.Response(status_code=status, headers=problem.raw_headers, reason=reason),
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
        http=LimitedProtocol,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(service.settings.shutdown_time),
    )
