"""`POST /v1/decode`: a `.tacit` file to an image of another format."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.exceptions import HTTPException

from tacit.web import problems
from tacit.web.bodies import BINARY, Body, described, typed
from tacit.web.encode_parameters import BOX, parsed_box
from tacit.web.header_lists import header_list
from tacit.web.jobs import coding
from tacit.web.media_types import IMAGE_SUFFIXES, OCTETS, TACIT
from tacit.web.negotiation import preferred
from tacit.web.service import ServiceDep
from tacit.web.v1 import results

router = APIRouter(prefix="/v1")


def _accepted_type(
    request: Request,
    accept: Annotated[str | None, Header(description="Media types, which may have weights.")] = None,
) -> str:
    accept = header_list(request, "accept")  # the argument, for the documentation, has one line only
    media_type = preferred(accept, tuple(IMAGE_SUFFIXES))
    if media_type is None:
        raise HTTPException(406, f"Accept must include one of {', '.join(IMAGE_SUFFIXES)}, got {accept}")
    return media_type


@router.post(
    "/decode",
    summary="Decode a .tacit file to an image",
    dependencies=[typed(TACIT)],
    response_class=Response,
    openapi_extra=described("A .tacit file.", TACIT, OCTETS),
    responses={
        200: {
            "description": "The image, in the format that Accept prefers.",
            "content": dict.fromkeys(IMAGE_SUFFIXES, BINARY),
            "headers": results.HEADERS,
        },
        **problems.documented(406),
        **problems.WORK,
    },
)
async def decode(
    service: ServiceDep,
    media_type: Annotated[str, Depends(_accepted_type)],
    upload: Body,
    crop: Annotated[
        str | None,
        Query(
            pattern=BOX,
            description="Decode only this part: left,top,width,height in pixels.",
            examples=["0,0,64,64"],
        ),
    ] = None,
    max_side: Annotated[
        int | None,
        Query(
            ge=1,
            le=2**31 - 1,
            description="Shrink a larger image, or part, to this many pixels along the longer side: a thumbnail, which "
            "takes a fraction of the time.",
            examples=[256],
        ),
    ] = None,
    salvage: Annotated[bool, Query(description="Decode what is intact of a damaged file.")] = False,
    partial: Annotated[
        bool, Query(description="Decode the beginning of a file, of which the end may be missing: a coarser image.")
    ] = False,
    metadata: Annotated[
        bool, Query(description="Keep the ICC profile, EXIF and XMP; without, colours become sRGB.")
    ] = True,
) -> Response:
    """The file names the weights that decode it. Damage that was left out is reported in Tacit-Warning."""
    start = time.perf_counter()
    box = None if crop is None else parsed_box(crop)
    reply = await service.pool.run(
        coding.decode,
        upload,
        IMAGE_SUFFIXES[media_type],
        box,
        salvage,
        service.settings.pixel_limit,
        metadata,
        partial,
        max_side,
    )
    headers = {"tacit-width": str(reply.width), "tacit-height": str(reply.height), "vary": "accept"}
    return results.first_response(service, reply.data, media_type, headers | results.timing(start), reply.warnings)
