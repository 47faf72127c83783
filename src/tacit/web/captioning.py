"""`/v1/caption`: a model at an endpoint looks at a picture, where the operator has named one: it may cost money."""

from __future__ import annotations

import asyncio
import io

from fastapi import APIRouter, Depends
from PIL import Image
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tacit.captions import EndpointCaptioner, EndpointOptions, load_prompt
from tacit.web import jobs, problems
from tacit.web.bodies import Body, described, typed
from tacit.web.pool import Overloaded
from tacit.web.service import Service, ServiceDep, authorized

SIDE = 1024  # pixels of the picture that is sent, at most
AT_A_TIME = 4

router = APIRouter(dependencies=[Depends(authorized)])


class Caption(BaseModel):
    """What the picture shows."""

    caption: str = Field(examples=["a red boat on a lake"])
    model: str = Field(examples=["gpt-4o"])


def _configured(service: ServiceDep) -> None:
    if service.settings.caption_url is None:
        raise HTTPException(404, "no captioner: the operator names one with --caption-url")


@router.post(
    "/v1/caption",
    summary="What a photograph shows, in the words of the operator's captioner",
    dependencies=[Depends(_configured), typed("image/")],
    openapi_extra=described("The photograph.", "image/*", "application/octet-stream"),
    responses={**problems.WORK, **problems.documented(404, 502)},
)
async def caption(service: ServiceDep, upload: Body) -> Caption:
    """Off, and answered 404, unless the operator has named an endpoint."""
    settings = service.settings
    picture = await service.pool.run(jobs.reduced, upload, SIDE, settings.pixel_limit)
    if service.captions >= AT_A_TIME:
        raise Overloaded("as many captions are being written as may be", 5)
    service.captions += 1
    try:
        return Caption(caption=await asyncio.to_thread(_ask, service, picture), model=settings.caption_model)
    finally:
        service.captions -= 1


def _ask(service: Service, picture: bytes) -> str:
    settings = service.settings
    assert settings.caption_url is not None
    options = EndpointOptions(
        settings.caption_model,
        settings.caption_url,
        image_size=SIDE,
        timeout=settings.time_limit / 2,
        attempts=2,
        patience=5.0,
    )
    # A new one each time: one that has been refused for good asks no more, and this service goes on for months.
    with EndpointCaptioner(load_prompt(), options) as captioner, Image.open(io.BytesIO(picture)) as image:
        return captioner(image)
