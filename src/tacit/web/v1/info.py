"""`POST /v1/info`: what the header of a `.tacit` file says."""

from __future__ import annotations

from fastapi import APIRouter

from tacit.fileinfo import FileInfo
from tacit.web import problems
from tacit.web.bodies import Body, described, typed
from tacit.web.jobs import coding
from tacit.web.media_types import OCTETS, TACIT
from tacit.web.service import ServiceDep

router = APIRouter(prefix="/v1")


@router.post(
    "/info",
    summary="Read the header of a .tacit file",
    dependencies=[typed(TACIT)],
    openapi_extra=described("A .tacit file.", TACIT, OCTETS),
    responses=problems.WORK,
)
async def info(service: ServiceDep, upload: Body) -> FileInfo:
    """The answer has the size, the rate, the caption and the model of the file. No pixel is decoded."""
    return await service.pool.run(coding.describe, upload)
