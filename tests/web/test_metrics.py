"""The figures for Prometheus."""

from __future__ import annotations

import httpx

import tacit


def test_health_and_metrics(web: httpx.Client) -> None:
    assert web.get("/healthz").json() == {"status": "ok", "version": tacit.__version__, "workers": 2}
    web.request("BREW", "/v1/models")
    counted = web.get("/metrics")
    assert counted.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'tacit_requests_total{method="GET",route="/healthz",status="200"}' in counted.text
    assert 'tacit_request_seconds_bucket{le="0.5",route="/v1/encode"}' in counted.text
    assert "BREW" not in counted.text
    assert "tacit_jobs_capacity 4.0" in counted.text
