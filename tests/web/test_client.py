"""The client: the errors that it raises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from support.web_service import image_bytes
from tacit.errors import (
    CorruptFile,
    ImageTooLarge,
    InvalidInput,
    PathError,
    ServiceError,
    TargetNotReached,
    UnsupportedFile,
)
from tacit.web.client import Client


def test_the_client_raises_what_the_codec_raises(
    client: Client, upload: bytes, tacit_file: bytes, tmp_path: Path
) -> None:
    failures: dict[type[Exception], Callable[[], object]] = {
        UnsupportedFile: lambda: client.decode(b"nothing"),
        CorruptFile: lambda: client.decode(tacit_file[:-3]),
        TargetNotReached: lambda: client.encode(upload, size=20),
        InvalidInput: lambda: client.encode(upload, quality=5, size=100),
        ImageTooLarge: lambda: client.encode(image_bytes(Image.new("L", (400, 400)))),
        PathError: lambda: client.info(tmp_path / "nothing"),
    }
    for kind, work in failures.items():
        with pytest.raises(kind) as caught:
            work()
        assert type(caught.value) is kind
    with pytest.raises(InvalidInput, match="less than or equal to 100"):
        client.encode(upload, quality=101)
    with pytest.raises(ServiceError, match="404 this service has no captioner") as refused:
        client.caption(upload)
    assert refused.value.status == 404
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ServiceError, match=r"127\.0\.0\.1:9"):
        nobody.models()
    with pytest.raises(InvalidInput, match=r"url must begin with .* got 'localhost'"):
        Client("localhost")
