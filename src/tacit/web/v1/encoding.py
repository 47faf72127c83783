"""`POST /v1/encode`: an image to a `.tacit` file."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from tacit.web import problems
from tacit.web.bodies import BINARY, Body, described, typed
from tacit.web.jobs import coding
from tacit.web.media_types import OCTETS, TACIT
from tacit.web.service import ServiceDep
from tacit.web.v1 import results

router = APIRouter(prefix="/v1")


class EncodeQuery(BaseModel):
    """The parameters of /v1/encode."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    quality: float | None = Field(
        None, ge=0, le=100, description="0 (smallest file) to 100; 50 if no other target is given."
    )
    size: int | None = Field(None, ge=1, le=1 << 40, description="Instead of a quality: the largest size in bytes.")
    bpp: float | None = Field(None, gt=0, le=1000, description="Instead of a quality: the most bits per pixel.")
    psnr: float | None = Field(None, gt=0, le=1000, description="Instead of a quality: the lowest PSNR, in dB.")
    caption: str | None = Field(
        None,
        max_length=4096,
        description="What the image shows. What the caption names is encoded at a higher quality, the rest at a lower "
        "one.",
        examples=["a red boat on a lake"],
    )
    steer: float | None = Field(
        None,
        ge=0,
        le=100,
        description="The difference in quality between what the caption names and the rest: 20 by default, 0 for the "
        "same quality everywhere.",
        examples=[40],
    )
    word_weights: bool = Field(False, description="Let names and rare nouns of the caption count for more.")
    store_caption: bool = Field(False, description="Keep the caption in the file.")
    metadata: bool = Field(True, description="Keep the ICC profile, EXIF, XMP, and captions in them.")
    model: str | None = Field(
        None,
        max_length=255,
        description="The name of a model of /v1/models, instead of the default.",
        examples=["tacit-s"],
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
                    "description": "The PSNR in dB, if a PSNR was the target.",
                    "schema": {"type": "number"},
                },
            },
        },
        **problems.WORK,
    },
)
async def encode(service: ServiceDep, query: Annotated[EncodeQuery, Query()], upload: Body) -> Response:
    """The body is the image file itself, not a form: `curl -T photo.jpg -X POST .../v1/encode -o photo.tacit`."""
    start = time.perf_counter()
    arguments = coding.EncodeArguments(
        caption=query.caption,
        quality=query.quality,
        size=query.size,
        bpp=query.bpp,
        psnr=query.psnr,
        store_caption=query.store_caption,
        keep_metadata=query.metadata,
        steer=query.steer,
        word_weights=query.word_weights,
        model=service.model(query.model),
    )
    reply = await service.pool.run(coding.encode, upload, arguments, service.settings.pixel_limit)
    numbers = {
        "width": reply.width,
        "height": reply.height,
        "quality": reply.quality,
        "bpp": reply.bpp,
        "psnr": reply.psnr,
    }
    headers = {f"tacit-{name}": f"{value:.6g}" for name, value in numbers.items() if value is not None}
    return results.first_response(service, reply.data, TACIT, headers | results.timing(start), reply.warnings)
