"""`POST /v1/info`."""

from __future__ import annotations

import io

import tacit
from tacit.web.client import Client


def test_what_a_file_says_of_itself(client: Client, upload: bytes, tacit_file: bytes) -> None:
    # the worker knows its weights by their path; this process does not, nor does `info`
    assert client.info(tacit_file) == tacit.info(tacit_file)
    assert client.info(io.BytesIO(tacit_file)).width == 150
