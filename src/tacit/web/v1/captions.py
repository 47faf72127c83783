"""`POST /v1/caption`: a model at the operator's endpoint describes an image, which may cost money."""

from __future__ import annotations

import asyncio
import io

from fastapi import APIRouter, Depends
from PIL import Image
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tacit.captions import EndpointCaptioner, EndpointOptions, load_prompt
from tacit.web import problems
from tacit.web.bodies import Body, described, typed
from tacit.web.jobs.uploads import reduced_png
from tacit.web.media_types import OCTETS
from tacit.web.service import Service, ServiceDep
from tacit.web.workers.errors import Overloaded

IMAGE_SIDE = 1024  # pixels; larger images are reduced before they are sent
CONCURRENT_CAPTIONS = 4

router = APIRouter(prefix="/v1")


class CaptionResponse(BaseModel):
    """What the image shows."""

    caption: str = Field(examples=["a red boat on a lake"])
    model: str = Field(examples=["gpt-4o"])


def _has_captioner(service: ServiceDep) -> None:
    if service.settings.caption_url is None:
        raise HTTPException(404, "this service has no captioner; the operator can name one with --caption-url")


@router.post(
    "/caption",
    summary="Describe an image in a caption",
    dependencies=[Depends(_has_captioner), typed("image/")],
    openapi_extra=described("The image.", "image/*", OCTETS),
    responses={**problems.WORK, **problems.documented(404, 502)},
)
async def caption(service: ServiceDep, upload: Body) -> CaptionResponse:
    """The answer is 404 unless the operator has named an endpoint that writes captions."""
    settings = service.settings
    image = await service.pool.run(reduced_png, upload, IMAGE_SIDE, settings.pixel_limit)
    if service.captions >= CONCURRENT_CAPTIONS:
        raise Overloaded("too many captions are being written", 5)
    service.captions += 1
    try:
        return CaptionResponse(
            caption=await asyncio.to_thread(_ask_endpoint, service, image), model=settings.caption_model
        )
    finally:
        service.captions -= 1


def _ask_endpoint(service: Service, png: bytes) -> str:
    settings = service.settings
    assert settings.caption_url is not None
    options = EndpointOptions(
        model=settings.caption_model,
        base_url=settings.caption_url,
        image_size=IMAGE_SIDE,
        timeout=settings.time_limit / 2,
        attempts=2,
        patience=5.0,
    )
    # A new captioner each time: one that was refused for good never asks again, and this service runs for months.
    with EndpointCaptioner(load_prompt(), options) as captioner, Image.open(io.BytesIO(png)) as image:
        return captioner(image)
