"""What the page asks for beyond `/v1`: a photograph is sent once, and then looked at in many ways.

It is for the page alone and changes with it, so it is no part of the interface that OpenAPI describes. A photograph is
known by the digest of what `preview_jobs.opened` made of it, and kept for as long as any upload; when it is gone, the
answer is 404 and the page sends it again.
"""

from __future__ import annotations

import importlib.util
import json
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.exceptions import HTTPException

from tacit.demo.samples import SAMPLES
from tacit.evaluation.baselines import BASELINES, search_within
from tacit.web import jobs, preview_jobs
from tacit.web.bodies import Body, typed
from tacit.web.preview_jobs import Opened, Stored
from tacit.web.service import Service, ServiceDep, authorized

SIZE_TOLERANCE = 0.01  # of the bytes that a codec may take
TRIED_PHOTOS = 256
CAPTION = 4096  # characters
PARTS = "application/x-tacit-parts"

router = APIRouter(prefix="/preview", include_in_schema=False, dependencies=[Depends(authorized)])

M = TypeVar("M", bound=BaseModel)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Wanted(_Asked):
    """An encoding with tacit; the names are those of /v1/encode."""

    quality: float | None = Field(None, ge=0, le=100)
    size: int | None = Field(None, ge=1, le=1 << 40)
    caption: str | None = Field(None, max_length=CAPTION)
    steer: float | None = Field(None, ge=0, le=100)
    word_weights: bool = False
    store_caption: bool = False
    model: str | None = Field(None, max_length=255)

    @model_validator(mode="after")
    def _of_one_target(self) -> Self:
        if self.quality is not None and self.size is not None:
            raise ValueError("one of quality and size can be asked for")
        return self

    def asked(self, service: Service) -> jobs.Encoding:
        """As workers take it; an empty caption is none."""
        return jobs.Encoding(
            (self.caption or "").strip() or None,
            self.quality,
            self.size,
            store_caption=self.store_caption,
            steer=self.steer,
            word_weights=self.word_weights,
            model=service.model(self.model),
        )


class Encode(Wanted):
    """once, raw: as `preview_jobs.encoded` takes them."""

    once: bool = False
    raw: bool = False


class Measure(Wanted):
    """The times of an encoding. file: its digest."""

    file: str


class Other(_Asked):
    """Another codec, at no more than so many bytes."""

    codec: Literal["JPEG", "WebP", "AVIF"]
    bytes: int = Field(ge=1)


class Point(Wanted):
    """A point of a curve."""

    codec: Literal["tacit", "JPEG", "WebP", "AVIF"]


class Words(_Asked):
    """A caption whose words are weighed."""

    caption: str = Field(max_length=CAPTION)


def _json(model: type[M]) -> Any:
    """A dependency: the body as a model. FastAPI's own reads bodies of any length."""

    def parse(body: Body) -> M:
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error

    return Depends(parse)


@dataclass(frozen=True)
class Trial:
    """Another codec at one quality. digest: of the file among the service's results."""

    bytes: int
    digest: str
    psnr: float | None
    encode_time: float
    decode_time: float


class Trials:
    """What other codecs made of the photographs lately looked at: searches and curves try the same qualities."""

    def __init__(self) -> None:
        self._photos: OrderedDict[str, dict[tuple[str, float], Trial]] = OrderedDict()

    def of(self, digest: str) -> dict[tuple[str, float], Trial]:
        """By codec and quality."""
        found = self._photos.setdefault(digest, {})
        self._photos.move_to_end(digest)
        if len(self._photos) > TRIED_PHOTOS:
            self._photos.popitem(last=False)
        return found


def _trials(request: Request) -> Trials:
    state = request.app.state
    if not hasattr(state, "trials"):
        state.trials = Trials()
    found: Trials = state.trials
    return found


def _photo(service: ServiceDep, digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]) -> Stored:
    stored = service.uploads.get(digest)
    if stored is None:
        raise HTTPException(404, "this photograph is not kept any more: send it again")
    return Stored(stored.data, digest)


PhotoDep = Annotated[Stored, Depends(_photo)]
TrialsDep = Annotated[Trials, Depends(_trials)]


# -- photographs -----------------------------------------------------------------------------------------------------


@router.get("")
def about(service: ServiceDep) -> dict[str, Any]:
    """What the page can offer here."""
    samples = SAMPLES if importlib.util.find_spec("skimage") else ()
    settings = service.settings
    return {
        "samples": [{"name": s.name, "caption": s.caption} for s in samples],
        "captioner": None if settings.caption_url is None else settings.caption_model,
        "kept": settings.cache_time,
        "body_limit": settings.body_limit,
        "models": [
            {"name": about.name, "variable_rate": about.variable_rate, "steers": about.quality_maps}
            for about in service.models().values()
        ],
    }


@router.post("/photos", dependencies=[typed("image/")])
async def add(
    service: ServiceDep, upload: Body, pixels: Annotated[int | None, Query(ge=1)] = None, raw: bool = False
) -> Response:
    """A photograph, sent once. pixels: reduce it to so many if it has more. raw: as `Encode` has it."""
    limit = service.settings.pixel_limit
    return _kept(service, await service.pool.run(preview_jobs.opened, upload, pixels, raw, limit))


def _sample(name: str) -> str:
    if name not in (s.name for s in SAMPLES):
        raise HTTPException(404)
    return name


SampleName = Annotated[str, Depends(_sample)]


@router.get("/samples/{name}")
async def thumbnail(service: ServiceDep, name: SampleName) -> Response:
    """A sample in small."""
    data = await service.pool.run(preview_jobs.thumbnail, name)
    return Response(data, media_type="image/webp", headers={"cache-control": "private, max-age=86400"})


@router.post("/samples/{name}")
async def add_sample(service: ServiceDep, name: SampleName, raw: bool = False) -> Response:
    """A sample, as if it had been sent."""
    return _kept(service, await service.pool.run(preview_jobs.sample, name, raw))


def _kept(service: Service, opened: Opened) -> Response:
    fields = {key: value for key, value in vars(opened).items() if key not in ("data", "media_type")}
    stored = service.uploads.put(opened.data, opened.media_type)
    return _parts({"photo": stored.digest, **fields}, picture=(opened.data, opened.media_type))


# -- tacit -----------------------------------------------------------------------------------------------------------


@router.post("/photos/{digest}/encode")
async def encode(service: ServiceDep, photo: PhotoDep, body: Annotated[Encode, _json(Encode)]) -> Response:
    """The file, and the picture that it decodes to."""
    limit, asked = service.settings.pixel_limit, body.asked(service)
    shown = await service.pool.run_near(photo.digest, preview_jobs.encoded, photo, asked, body.once, body.raw, limit)
    stored = service.results.put(shown.file, "image/x-tacit")
    figures = {
        "quality": shown.quality,
        "bytes": len(shown.file),
        "bpp": shown.bpp,
        "psnr": shown.psnr,
        "exact": shown.exact,
        "steps": None if shown.steps is None else vars(shown.steps),
        "made": shown.times,
        "digest": stored.digest,
    }
    return _parts(figures, picture=(shown.picture, shown.media_type), file=(shown.file, "image/x-tacit"))


@router.post("/photos/{digest}/times")
async def times(service: ServiceDep, photo: PhotoDep, body: Annotated[Measure, _json(Measure)]) -> dict[str, float]:
    """What encoding and decoding take, each as a whole."""
    stored = service.results.get(body.file)
    if stored is None:
        raise HTTPException(404, "this file is not kept any more")
    limit, asked = service.settings.pixel_limit, body.asked(service)
    return asdict(await service.pool.run_aside(photo.digest, preview_jobs.times, photo, stored.data, asked, limit))


@router.post("/photos/{digest}/bits")
async def bits(service: ServiceDep, photo: PhotoDep, body: Annotated[Wanted, _json(Wanted)]) -> dict[str, Any]:
    """Where the bits went."""
    limit, asked = service.settings.pixel_limit, body.asked(service)
    return vars(await service.pool.run_aside(photo.digest, preview_jobs.bit_map, photo, asked, limit))


@router.post("/words")
async def words(service: ServiceDep, body: Annotated[Words, _json(Words)]) -> dict[str, Any]:
    """What the words of a caption weigh."""
    return vars(await service.pool.run_aside(None, preview_jobs.weighed, body.caption))


# -- beside others ---------------------------------------------------------------------------------------------------


@router.post("/photos/{digest}/other")
async def other(
    request: Request, service: ServiceDep, photo: PhotoDep, trials: TrialsDep, body: Annotated[Other, _json(Other)]
) -> Response:
    """Another codec's file of no more bytes; every encoding of the search is a job of its own, so that the slider
    need not wait for all of them."""
    search = search_within(BASELINES[body.codec], body.bytes, SIZE_TOLERANCE)
    try:
        quality = next(search)
        while True:
            if await request.is_disconnected():
                return Response(status_code=204)
            trial = await _trial(service, photo, trials, body.codec, quality)
            quality = search.send(trial.bytes)
    except StopIteration as end:
        quality = end.value
    trial = await _trial(service, photo, trials, body.codec, quality)
    stored = service.results.get(trial.digest)
    if stored is None:
        trials.of(photo.digest).pop((body.codec, quality))
        trial = await _trial(service, photo, trials, body.codec, quality)
        stored = service.results.get(trial.digest)
    if stored is None:
        raise HTTPException(503, "the service keeps too few bytes for this comparison")
    figures = {
        "codec": body.codec,
        "quality": quality,
        "setting": BASELINES[body.codec].setting,
        "over": trial.bytes > body.bytes,
        **vars(trial),
    }
    return _parts(figures, picture=(stored.data, stored.media_type))


@router.post("/photos/{digest}/point")
async def point(
    service: ServiceDep, photo: PhotoDep, trials: TrialsDep, body: Annotated[Point, _json(Point)]
) -> dict[str, Any]:
    """One point of the curve of rate and distortion."""
    if body.codec == "tacit":
        limit, asked = service.settings.pixel_limit, body.asked(service)
        size, psnr = await service.pool.run_aside(photo.digest, preview_jobs.fidelity, photo, asked, limit)
    elif body.quality is None:
        raise HTTPException(422, "quality: is needed")
    else:
        trial = await _trial(service, photo, trials, body.codec, body.quality)
        size, psnr = trial.bytes, trial.psnr
    return {"codec": body.codec, "quality": body.quality, "bytes": size, "psnr": psnr}


async def _trial(service: Service, photo: Stored, trials: Trials, name: str, quality: float) -> Trial:
    known = trials.of(photo.digest)
    if (name, quality) not in known:
        limit = service.settings.pixel_limit
        tried = await service.pool.run_aside(photo.digest, preview_jobs.tried, photo, name, quality, limit)
        stored = service.results.put(tried.data, f"image/{name.lower()}")
        known[name, quality] = Trial(len(tried.data), stored.digest, tried.psnr, tried.encode_time, tried.decode_time)
    return known[name, quality]


# -- answers ---------------------------------------------------------------------------------------------------------


def _parts(about: dict[str, Any], **files: tuple[bytes, str]) -> Response:
    """`about` and files, each bytes and a media type, in one answer: they are one encoding's, and shall not come from
    two. Four bytes, big-endian, tell the length of the JSON that follows; its `files` tell the lengths of the rest.
    Browsers take this apart without reading it, which they cannot do with a form."""
    head = json.dumps(about | {"files": [[name, len(data), kind] for name, (data, kind) in files.items()]}).encode()
    body = b"".join((len(head).to_bytes(4), head, *(data for data, _ in files.values())))
    return Response(body, media_type=PARTS)
