"""`POST /v1/encode`: an image to a `.tacit` file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from tacit.web import problems
from tacit.web.bodies import BINARY, Body, described, typed
from tacit.web.encode_parameters import EncodeParameters
from tacit.web.jobs import coding
from tacit.web.media_types import OCTETS, TACIT
from tacit.web.service import ServiceDep
from tacit.web.v1 import results

FOUND_LENGTH = 2000  # characters of Tacit-Found; proxies refuse answers whose headers are long

router = APIRouter(prefix="/v1")


class EncodeQuery(EncodeParameters):
    """The parameters of /v1/encode."""

    bpp: float | None = Field(None, gt=0, le=1000, description="Instead of a quality: the most bits per pixel.")
    psnr: float | None = Field(None, gt=0, le=1000, description="Instead of a quality: the lowest PSNR, in dB.")
    keep_metadata: bool = Field(
        True, alias="metadata", description="Keep the ICC profile, EXIF, XMP, and captions in them."
    )


@router.post(
    "/encode",
    summary="Encode an image to a .tacit file",
    dependencies=[typed("image/")],
    response_class=Response,
    openapi_extra=described("JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM or JPEG 2000.", "image/*", OCTETS),
    responses={
        200: {
            "description": "The file.",
            "content": {TACIT: BINARY},
            "headers": {
                **results.HEADERS,
                "Tacit-Quality": {"description": "The quality of the file.", "schema": {"type": "number"}},
                "Tacit-Bpp": {"description": "Bits of the whole file per pixel.", "schema": {"type": "number"}},
                "Tacit-Psnr": {
                    "description": "The PSNR in dB, if a PSNR was the target or something was to be kept.",
                    "schema": {"type": "number"},
                },
                "Tacit-Found": {
                    "description": "What of the caption was found in the image and what was not, as a JSON object of "
                    "two lists of phrases, found and missed, as many as fit into 2000 characters.",
                    "schema": {"type": "string"},
                },
                "Tacit-Kept": {
                    "description": "What was to be kept and is found, as a JSON list: phrase, box (left, top, width, "
                    "height), measure, least, reached, kept, cues.",
                    "schema": {"type": "string"},
                },
                "Tacit-Kept-Bytes": {
                    "description": "The bytes that this costs.",
                    "schema": {"type": "integer"},
                },
            },
        },
        **problems.WORK,
        **problems.documented(502),
    },
)
async def encode(service: ServiceDep, query: Annotated[EncodeQuery, Query()], upload: Body) -> Response:
    """The body is the image file itself, not a form: `curl -T photo.jpg -X POST .../v1/encode -o photo.tacit`."""
    start = time.perf_counter()
    reply = await service.pool.run(coding.encode, upload, query.arguments(service), service.settings.pixel_limit)
    numbers = {
        "width": reply.width,
        "height": reply.height,
        "quality": reply.quality,
        "bpp": reply.bpp,
        "psnr": reply.psnr,
    }
    headers = {f"tacit-{name}": f"{value:.6g}" for name, value in numbers.items() if value is not None}
    if reply.found or reply.missed:
        headers["tacit-found"] = _found_header(reply.found, reply.missed)
    if reply.kept:
        headers["tacit-kept"] = json.dumps([one.described() for one in reply.kept])
        headers["tacit-kept-bytes"] = str(reply.kept_bytes)
    return results.first_response(service, reply.data, TACIT, headers | results.timing(start), reply.warnings)


def _found_header(found: Sequence[str], missed: Sequence[str]) -> str:
    """Return what was found and what was not as JSON; the last phrases are left out where it would be too long."""
    phrases = [*(("found", phrase) for phrase in found), *(("missed", phrase) for phrase in missed)]
    while True:
        lists: dict[str, list[str]] = {"found": [], "missed": []}
        for key, phrase in phrases:
            lists[key].append(phrase)
        header = json.dumps(lists)
        if len(header) <= FOUND_LENGTH or not phrases:
            return header
        phrases.pop()
