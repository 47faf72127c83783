"""`POST /v1/find`: where an image shows what a caption names."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from tacit.web import problems
from tacit.web.bodies import Body, described, typed
from tacit.web.encode_parameters import CAPTION_LENGTH
from tacit.web.jobs import finding
from tacit.web.media_types import OCTETS
from tacit.web.service import ServiceDep

router = APIRouter(prefix="/v1")


class FoundThingResponse(BaseModel):
    """A thing that the caption names."""

    phrase: str = Field(description="The words, as the caption has them.", examples=["the red boat"])
    found: bool = Field(description="Whether the image shows it.")
    cues: list[str] = Field(description="What it was found by.", examples=[["colour", "detector"]])
    sure: bool = Field(description="Whether it is likely to be there; `keep` promises nothing of what is not.")
    boxes: list[tuple[int, int, int, int]] = Field(
        description="Around the places where it is, the largest first: left, top, width and height in pixels.",
        examples=[[(120, 80, 64, 32)]],
    )


class FindResponse(BaseModel):
    """What was found of a caption."""

    width: int = Field(description="The width of the image, upright, in pixels.")
    height: int = Field(description="The height of the image, upright, in pixels.")
    things: list[FoundThingResponse] = Field(description="What the caption names, in its order.")
    warnings: list[str]


@router.post(
    "/find",
    summary="Find what a caption names in an image",
    dependencies=[typed("image/")],
    openapi_extra=described("The image.", "image/*", OCTETS),
    responses={**problems.WORK, **problems.documented(502)},
)
async def find(
    service: ServiceDep,
    upload: Body,
    caption: Annotated[
        str,
        Query(
            min_length=1,
            max_length=CAPTION_LENGTH,
            description="The caption, or a phrase of it.",
            examples=["a red boat on a lake"],
        ),
    ],
) -> FindResponse:
    """What is not found would change nothing in an encoding. Nothing is encoded."""
    reply = await service.pool.run(finding.find, upload, caption, service.settings.pixel_limit)
    return FindResponse(
        width=reply.width,
        height=reply.height,
        things=[
            FoundThingResponse(
                phrase=thing.phrase,
                found=bool(thing.boxes),
                cues=list(thing.cues),
                sure=thing.sure,
                boxes=list(thing.boxes),
            )
            for thing in reply.things
        ],
        warnings=list(reply.warnings),
    )
