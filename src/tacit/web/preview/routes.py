"""The routes of the page."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from tacit.codec.rate_control import SizeSearch
from tacit.demo.samples import SAMPLES
from tacit.evaluation.codecs.pillow_formats import BASELINES
from tacit.web import viewer
from tacit.web.access import authorized
from tacit.web.bodies import Body, typed
from tacit.web.jobs import comparison, display_images, finding, preview, words
from tacit.web.jobs.display_images import DisplayImage
from tacit.web.jobs.uploads import UploadedImage
from tacit.web.media_types import TACIT
from tacit.web.preview.parts import parts_response
from tacit.web.preview.requests import (
    BitsRequest,
    CaptionRequest,
    ComparisonRequest,
    ImageRequest,
    PointRequest,
    TimesRequest,
    json_body,
)
from tacit.web.preview.trials import CodecTrial
from tacit.web.service import Service, ServiceDep

SIZE_TOLERANCE = 0.01  # of a comparison's bytes may be left over

router = APIRouter(prefix="/preview", include_in_schema=False, dependencies=[Depends(authorized)])


def _uploaded(service: ServiceDep, digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]) -> UploadedImage:
    stored = service.uploads.get(digest)
    if stored is None:
        raise HTTPException(404, "this image is not kept any more; send it again")
    return UploadedImage(stored.data, digest)


def _sample_name(name: str) -> str:
    if name not in (s.name for s in SAMPLES):
        raise HTTPException(404)
    return name


ImageDep = Annotated[UploadedImage, Depends(_uploaded)]
SampleName = Annotated[str, Depends(_sample_name)]


# -- images -----------------------------------------------------------------------------------------------------------


@router.get("")
def offer(service: ServiceDep) -> dict[str, Any]:
    """Return what the page can offer on this machine."""
    samples = SAMPLES if importlib.util.find_spec("skimage") else ()
    settings = service.settings
    return {
        "samples": [{"name": s.name, "caption": s.caption} for s in samples],
        "captioner": None if settings.caption_url is None else settings.caption_model,
        "kept": settings.cache_time,
        "body_limit": settings.body_limit,
        "viewer": viewer.offered(),
        "effort_limit": settings.effort_limit if importlib.util.find_spec("torch") else 0,
        "models": [
            {
                "name": model.name,
                "variable_rate": model.variable_rate,
                "steers": model.quality_maps,
            }
            for model in service.models().values()
        ],
    }


@router.post("/images", dependencies=[typed("image/")])
async def add_image(
    service: ServiceDep, upload: Body, pixels: Annotated[int | None, Query(ge=1)] = None, uncompressed: bool = False
) -> Response:
    """Keep an image, sent once; `pixels` reduces a larger one to that number."""
    limit = service.settings.pixel_limit
    return _keep(service, await service.pool.run(display_images.open_upload, upload, pixels, uncompressed, limit))


@router.get("/samples/{name}")
async def sample_thumbnail(service: ServiceDep, name: SampleName) -> Response:
    """Return a small version of a sample."""
    data = await service.pool.run(display_images.sample_thumbnail, name)
    return Response(data, media_type="image/webp", headers={"cache-control": "private, max-age=86400"})


@router.post("/samples/{name}")
async def add_sample(service: ServiceDep, name: SampleName, uncompressed: bool = False) -> Response:
    """Keep a sample, as if it had been sent."""
    return _keep(service, await service.pool.run(display_images.open_sample, name, uncompressed))


def _keep(service: Service, image: DisplayImage) -> Response:
    fields = {key: value for key, value in vars(image).items() if key not in ("data", "media_type")}
    stored = service.uploads.put(image.data, image.media_type)
    return parts_response({"digest": stored.digest, **fields}, data=(image.data, image.media_type))


# -- tacit ------------------------------------------------------------------------------------------------------------


@router.post("/images/{digest}/encode")
async def encode(
    service: ServiceDep, image: ImageDep, body: Annotated[ImageRequest, json_body(ImageRequest)]
) -> Response:
    """Encode an image; the answer has the file and the image that it decodes to."""
    limit, arguments = service.settings.pixel_limit, body.arguments(service)
    encoding = await service.pool.run_near(
        image.digest, preview.encode_preview, image, arguments, body.once, body.uncompressed, limit
    )
    stored = service.results.put(encoding.file, TACIT)
    fields = {
        "quality": encoding.quality,
        "bytes": len(encoding.file),
        "bpp": encoding.bpp,
        "psnr": encoding.psnr,
        "exact": encoding.exact,
        "steps": None if encoding.steps is None else vars(encoding.steps),
        "things": None if encoding.things is None else [vars(thing) for thing in encoding.things],
        "kept": [one.described() for one in encoding.kept],
        "kept_bytes": encoding.kept_bytes,
        "work": encoding.times,
        "warnings": encoding.warnings,
        "digest": stored.digest,
    }
    return parts_response(fields, decoded=(encoding.decoded, encoding.media_type), file=(encoding.file, TACIT))


@router.post("/images/{digest}/times")
async def times(
    service: ServiceDep, image: ImageDep, body: Annotated[TimesRequest, json_body(TimesRequest)]
) -> dict[str, float]:
    """Measure how long encoding and decoding take as a whole."""
    limit, arguments, file = service.settings.pixel_limit, body.arguments(service), _kept_file(service, body.file)
    return asdict(
        await service.pool.run_in_background(image.digest, preview.codec_times, image, file, arguments, limit)
    )


@router.post("/images/{digest}/bits")
async def bits(
    service: ServiceDep, image: ImageDep, body: Annotated[BitsRequest, json_body(BitsRequest)]
) -> dict[str, Any]:
    """Return how many bits each square of the image takes."""
    limit, arguments = service.settings.pixel_limit, body.arguments(service)
    file = None if body.file is None else _kept_file(service, body.file)
    return vars(await service.pool.run_in_background(image.digest, preview.bit_map, image, file, arguments, limit))


@router.post("/images/{digest}/find")
async def find(
    service: ServiceDep, image: ImageDep, body: Annotated[CaptionRequest, json_body(CaptionRequest)]
) -> dict[str, Any]:
    """Return what a caption names, and where the image shows it; for captions that steer, each encoding says it."""
    limit = service.settings.pixel_limit
    reply = await service.pool.run_in_background(image.digest, finding.find, image.data, body.caption, limit)
    return {"things": [vars(thing) for thing in reply.things]}


def _kept_file(service: Service, digest: str) -> bytes:
    """Return a file that was made before."""
    stored = service.results.get(digest)
    if stored is None:
        raise HTTPException(404, "this file is not kept any more")
    return stored.data


@router.post("/words")
async def weigh_words(
    service: ServiceDep, body: Annotated[CaptionRequest, json_body(CaptionRequest)]
) -> dict[str, Any]:
    """Return the weights of a caption's words."""
    return vars(await service.pool.run_in_background(None, words.weigh_caption, body.caption))


# -- other codecs -----------------------------------------------------------------------------------------------------


@router.post("/images/{digest}/comparison")
async def compare(
    request: Request,
    service: ServiceDep,
    image: ImageDep,
    body: Annotated[ComparisonRequest, json_body(ComparisonRequest)],
) -> Response:
    """Encode an image with another codec, as well as it can in a number of bytes.

    Every encoding of the search is a job of its own, so that the page's slider need not wait for all of them.
    """
    baseline = BASELINES[body.codec]
    search = SizeSearch(baseline.scale, tolerance=SIZE_TOLERANCE)
    for step in search.steps(body.bytes):
        if await request.is_disconnected():
            return Response(status_code=204)
        search.add(step, (await _try(service, image, body.codec, step)).bytes)
    best = search.best(body.bytes)
    quality = baseline.lowest if best is None else best
    trial = await _try(service, image, body.codec, quality)
    stored = service.results.get(trial.digest)
    if stored is None:
        service.trials.of_image(image.digest).pop((body.codec, quality))
        trial = await _try(service, image, body.codec, quality)
        stored = service.results.get(trial.digest)
    if stored is None:
        raise HTTPException(503, "the service's memory for results is too small for this comparison")
    fields = {
        "codec": body.codec,
        "quality": quality,
        "setting": baseline.setting,
        "over": trial.bytes > body.bytes,
        **vars(trial),
    }
    return parts_response(fields, file=(stored.data, stored.media_type))


@router.post("/images/{digest}/point")
async def curve_point(
    service: ServiceDep, image: ImageDep, body: Annotated[PointRequest, json_body(PointRequest)]
) -> dict[str, Any]:
    """Return one point of a codec's curve of rate and distortion."""
    if body.codec == "tacit":
        limit, arguments = service.settings.pixel_limit, body.arguments(service)
        size, psnr = await service.pool.run_in_background(image.digest, preview.curve_point, image, arguments, limit)
    elif body.quality is None:
        raise HTTPException(422, f"quality must be given for {body.codec}")
    else:
        trial = await _try(service, image, body.codec, body.quality)
        size, psnr = trial.bytes, trial.psnr
    return {"codec": body.codec, "quality": body.quality, "bytes": size, "psnr": psnr}


async def _try(service: Service, image: UploadedImage, codec: str, quality: float) -> CodecTrial:
    """Return another codec's file of an image at one quality, encoded now or earlier."""
    trials = service.trials.of_image(image.digest)
    if (codec, quality) not in trials:
        limit = service.settings.pixel_limit
        file = await service.pool.run_in_background(
            image.digest, comparison.encode_for_comparison, image, codec, quality, limit
        )
        stored = service.results.put(file.data, f"image/{codec.lower()}")
        trials[codec, quality] = CodecTrial(
            bytes=len(file.data),
            digest=stored.digest,
            psnr=file.psnr,
            encode_time=file.encode_time,
            decode_time=file.decode_time,
        )
    return trials[codec, quality]
