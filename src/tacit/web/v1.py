"""The routes of version 1."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from tacit.fileinfo import FileInfo
from tacit.web import jobs, problems, results
from tacit.web.bodies import BINARY, Body, described, typed
from tacit.web.negotiation import preferred
from tacit.web.service import ServiceDep, authorized

TACIT = "image/x-tacit"
OCTETS = "application/octet-stream"
IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/avif": "avif"}
"""What decoding can answer, and the suffix of each; the first where a client does not care."""

router = APIRouter(dependencies=[Depends(authorized)])


_ABOUT = {
    "format_version": 1,
    "width": 451,
    "height": 300,
    "mode": "RGB",
    "quality": 50.0,
    "model": "tacit-s",
    "architecture": "tacit-s",
    "weights_hash": "4819d9852a0b31a6",
    "bytes": 4197,
    "bpp": 0.248,
    "regions": 1,
    "caption": None,
    "quality_map_bytes": 0,
    "alpha_bytes": 0,
    "icc_bytes": 0,
    "exif_bytes": 0,
    "xmp_bytes": 0,
}

_RESULT_HEADERS: dict[str, Any] = {
    "ETag": {"description": "The SHA-256 of the body.", "schema": {"type": "string"}},
    "Content-Location": {"description": "Where it can be had again for a while.", "schema": {"type": "string"}},
    "Server-Timing": {"description": "Milliseconds of the work, waiting included.", "schema": {"type": "string"}},
    "Tacit-Width": {"description": "Pixels.", "schema": {"type": "integer"}},
    "Tacit-Height": {"description": "Pixels.", "schema": {"type": "integer"}},
    "Tacit-Warning": {"description": "What could not be kept, or was damaged.", "schema": {"type": "string"}},
}


def _accepted(accept: Annotated[str | None, Header(description="Media types with weights.")] = None) -> str:
    found = preferred(accept, tuple(IMAGES))
    if found is None:
        raise HTTPException(406, f"there are: {', '.join(IMAGES)}")
    return found


Accepted = Annotated[str, Depends(_accepted)]


def _timing(begun: float) -> dict[str, str]:
    return {"server-timing": f"work;dur={1000 * (time.perf_counter() - begun):.1f}"}


class EncodeQuery(BaseModel):
    """The parameters of /v1/encode."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    quality: float | None = Field(None, ge=0, le=100, description="0 (smallest) to 100; 50 if no target is given.")
    size: int | None = Field(None, ge=1, le=1 << 40, description="Instead: at most so many bytes.")
    bpp: float | None = Field(None, gt=0, le=1000, description="Instead: at most so many bits per pixel.")
    psnr: float | None = Field(None, gt=0, le=1000, description="Instead: a PSNR of at least this, in dB.")
    caption: str | None = Field(
        None,
        max_length=4096,
        description="What the picture shows. What it names is encoded at a higher quality, the rest at a lower one.",
        examples=["a red boat on a lake"],
    )
    steer: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Steps of quality between what the caption names and what it does not; 20 if it is not said, 0 for "
        "the same quality everywhere.",
        examples=[40],
    )
    word_weights: bool = Field(False, description="Let names and rare nouns of the caption count for more.")
    store_caption: bool = Field(False, description="Keep the caption in the file.")
    metadata: bool = Field(True, description="Keep ICC profile, EXIF and XMP, and captions in them.")
    model: str | None = Field(
        None, max_length=255, description="One of /v1/models, instead of its default.", examples=["tacit-s"]
    )


@router.post(
    "/v1/encode",
    summary="A photograph to a .tacit file",
    dependencies=[typed("image/")],
    response_class=Response,
    openapi_extra=described("JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM or JPEG 2000.", "image/*", OCTETS),
    responses={
        200: {
            "description": "The file.",
            "content": {TACIT: BINARY},
            "headers": {
                **_RESULT_HEADERS,
                "Tacit-Quality": {"description": "The quality used.", "schema": {"type": "number"}},
                "Tacit-Bpp": {"description": "Bits of the file per pixel.", "schema": {"type": "number"}},
                "Tacit-Psnr": {"description": "In dB, where one was asked for.", "schema": {"type": "number"}},
            },
        },
        **problems.WORK,
    },
)
async def encode(
    request: Request, service: ServiceDep, query: Annotated[EncodeQuery, Query()], upload: Body
) -> Response:
    """The body is the image as it is, not a form: `curl -T photo.jpg -X POST .../v1/encode -o photo.tacit`."""
    begun = time.perf_counter()
    asked = jobs.Encoding(
        query.caption,
        query.quality,
        query.size,
        query.bpp,
        query.psnr,
        query.store_caption,
        query.metadata,
        query.steer,
        query.word_weights,
        service.model(query.model),
    )
    done = await service.pool.run(jobs.encode, upload, asked, service.settings.pixel_limit)
    numbers = {"width": done.width, "height": done.height, "quality": done.quality, "bpp": done.bpp, "psnr": done.psnr}
    headers = {f"tacit-{name}": f"{value:.6g}" for name, value in numbers.items() if value is not None}
    return results.answer(service, done.data, TACIT, headers | _timing(begun), done.warnings)


@router.post(
    "/v1/decode",
    summary="A .tacit file to an image",
    dependencies=[typed(TACIT)],
    response_class=Response,
    openapi_extra=described("A .tacit file.", TACIT, OCTETS),
    responses={
        200: {
            "description": "The image, in the format that Accept prefers.",
            "content": dict.fromkeys(IMAGES, BINARY),
            "headers": _RESULT_HEADERS,
        },
        **problems.documented(406),
        **problems.WORK,
    },
)
async def decode(
    request: Request,
    service: ServiceDep,
    media_type: Accepted,
    upload: Body,
    crop: Annotated[
        str | None,
        Query(
            pattern=r"^\d{1,9},\d{1,9},\d{1,9},\d{1,9}$", description="left,top,width,height", examples=["0,0,64,64"]
        ),
    ] = None,
    salvage: Annotated[bool, Query(description="Decode what is whole of a damaged file.")] = False,
) -> Response:
    """Which weights decode it, the file says. Damage that is left out is told in Tacit-Warning."""
    begun = time.perf_counter()
    box = None
    if crop is not None:
        left, top, width, height = map(int, crop.split(","))
        box = left, top, left + width, top + height
    done = await service.pool.run(jobs.decode, upload, IMAGES[media_type], box, salvage, service.settings.pixel_limit)
    headers = {"tacit-width": str(done.width), "tacit-height": str(done.height), "vary": "accept"}
    return results.answer(service, done.data, media_type, headers | _timing(begun), done.warnings)


@router.post(
    "/v1/info",
    summary="What a .tacit file says of itself",
    dependencies=[typed(TACIT)],
    openapi_extra=described("A .tacit file.", TACIT, OCTETS),
    responses={200: {"content": {"application/json": {"example": _ABOUT}}}, **problems.WORK},
)
async def info(service: ServiceDep, upload: Body) -> FileInfo:
    """Size, rate, caption, model; no pixel is decoded."""
    return await service.pool.run(jobs.describe, upload)


@router.get(
    "/v1/results/{digest}",
    summary="A result again",
    response_class=Response,
    responses={
        200: {"description": "The result.", "content": dict.fromkeys((TACIT, *IMAGES), BINARY)},
        206: {"description": "The range of its bytes that was asked for."},
        304: {"description": "It is what If-None-Match names."},
        **problems.documented(404, 416, 422),
    },
)
@router.head("/v1/results/{digest}", include_in_schema=False)
async def result(
    request: Request, service: ServiceDep, digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """What a POST has answered, by the SHA-256 in its Content-Location; kept in memory for some minutes."""
    stored = service.results.get(digest)
    if stored is None:
        raise HTTPException(404, "not kept, or not any more: POST it again")
    return results.again(service, stored, request)


class Model(BaseModel):
    """Weights on this machine."""

    name: str = Field(examples=["tacit-s"])
    architecture: str = Field(examples=["tacit-s"])
    weights_hash: str = Field(description="In every file that they made.", examples=["4819d9852a0b31a6"])
    variable_rate: bool = Field(description="Whether a quality means anything.")
    default: bool = Field(description="Whether /v1/encode uses them where nothing is said.")


class Models(BaseModel):
    """What this service can do."""

    models: list[Model]
    body_limit: int = Field(description="Bytes of a request.")
    pixel_limit: int = Field(description="Width times height of an image.")
    captioner: str | None = Field(description="The model behind /v1/caption; null where there is none.")


@router.get("/v1/models", summary="The models on this machine, and the limits", responses=problems.documented(500))
def models(service: ServiceDep) -> Models:
    """Any of the models decodes its files; the default encodes, where a request names no other."""
    settings = service.settings
    found = [
        Model(
            name=about.name,
            architecture=about.architecture,
            weights_hash=about.decode_hash.hex(),
            variable_rate=about.variable_rate,
            default=not place,
        )
        for place, about in enumerate(service.models().values())
    ]
    captioner = None if settings.caption_url is None else settings.caption_model
    return Models(models=found, body_limit=settings.body_limit, pixel_limit=settings.pixel_limit, captioner=captioner)
