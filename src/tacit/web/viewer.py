"""`/viewer/`: the decoder for browsers, built from `js/`, and the weights that it decodes with.

The page decodes with it where it can. Like the page's own files, these need no token, so with a token only the weights
of the package are among them. OpenAPI does not describe these routes, because they change with the page.
"""

from __future__ import annotations

import asyncio
import threading
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from tacit import viewer
from tacit.errors import CorruptWeights
from tacit.web.compression import compressed_file, gzipped, wants_gzip
from tacit.web.media_types import OCTETS
from tacit.web.middleware import policy
from tacit.web.service import Service, ServiceDep
from tacit.weights.catalogue import SHIPPED, shipped_path

KEPT_WEIGHTS = 4  # files of about 12 MB each, and 9 MB more where they are asked for compressed

router = APIRouter(prefix="/viewer", include_in_schema=False)
_reading = threading.Lock()


def offered() -> bool:
    """Return whether this installation has the decoder for browsers."""
    return (viewer.STATIC / "client.js").is_file()


@router.get("/weights/{name}.safetensors")
async def weights_file(
    request: Request, service: ServiceDep, name: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
) -> Response:
    """Return weights by the name that files have for them, without what only an encoder needs."""
    path = await asyncio.to_thread(_weights_path, service, name)
    if path is None:
        raise HTTPException(404, "there are no such weights for browsers")
    try:
        compressed = wants_gzip(request)
        data = await asyncio.to_thread(_read, path, compressed)
    except CorruptWeights as error:
        raise HTTPException(404, str(error)) from error
    headers = {"cache-control": "private, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if compressed:
        headers["content-encoding"] = "gzip"
    return Response(data, media_type=OCTETS, headers=headers)


@router.get("/{path:path}")
async def static_file(request: Request, path: str) -> Response:
    """Return a file of the decoder."""
    if not offered():
        raise HTTPException(404)
    answer = await StaticFiles(directory=viewer.STATIC, html=True).get_response(path, request.scope)
    answer = await compressed_file(request, answer)
    answer.headers["cache-control"] = "no-cache"  # kept, but asked about each time
    answer.headers["content-security-policy"] = policy("'wasm-unsafe-eval'")
    return answer


def _weights_path(service: Service, name: str) -> FilePath | None:
    for model in service.models().values():
        public = service.settings.token is None or model.path in map(shipped_path, SHIPPED)
        if model.decode_hash.hex() == name and model.graphs and public:
            return model.path
    return None


def _read(path: FilePath, compressed: bool) -> bytes:
    with _reading:  # once, however many ask
        return _compressed_part(path) if compressed else _decoding_part(path)


@lru_cache(maxsize=KEPT_WEIGHTS)
def _compressed_part(path: FilePath) -> bytes:
    return gzipped(_decoding_part(path))


@lru_cache(maxsize=KEPT_WEIGHTS)
def _decoding_part(path: FilePath) -> bytes:
    from tacit.weights.decoding_part import decoding_part

    return decoding_part(path)
