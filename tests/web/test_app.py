"""The application as a whole: under load, its health, and its page."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable

import httpx
import pytest
from fastapi.testclient import TestClient

import tacit
from support.web_service import problem
from tacit.web.client import Client
from tacit.web.service import Service


@pytest.mark.slow
def test_nothing_is_lost_when_workers_die_and_too_much_is_refused(
    url: str, service: Service, web: httpx.Client, upload: bytes
) -> None:
    restarts = service.pool.restarts
    pids = [worker.pid for worker in service.pool.workers]
    lost: list[str] = []

    def ask(number: int) -> None:
        try:
            with Client(url, attempts=100) as client:
                for part in range(3):
                    assert tacit.info(client.encode(upload, quality=number * 3 + part).data).width == 150
        except Exception as error:  # a thread's would be unseen
            lost.append(repr(error))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    refused = [web.post("/v1/encode", content=upload) for _ in range(3)]
    os.kill(next(pid for pid in pids if pid), signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert lost == []
    for answer in refused:
        if answer.status_code != 200:
            assert problem(answer, 429)["type"] == "urn:tacit:Overloaded"
            assert int(answer.headers["retry-after"]) >= 1
    assert service.pool.restarts > restarts
    counted = web.get("/metrics").text
    assert re.search(r'tacit_requests_total\{method="POST",route="/v1/encode",status="429"\} [1-9]', counted)
    assert re.search(r"tacit_worker_restarts_total [1-9]", counted)


def test_ill_health(bare: Callable[..., TestClient]) -> None:
    assert problem(bare().get("/healthz"), 503)["detail"] == "no worker is running"


def test_the_page_is_there(web: httpx.Client) -> None:
    page = web.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert web.get("/index.html").text == page.text
    for path, allowed in {
        "/v1/models": "GET, HEAD",
        "/v1/encode": "POST",
        f"/v1/results/{64 * '0'}": "GET, HEAD",
    }.items():
        assert web.request("PUT", path).headers["allow"] == allowed
