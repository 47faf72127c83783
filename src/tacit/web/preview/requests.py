"""The bodies of the page's requests."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from tacit.web.bodies import Body
from tacit.web.encode_parameters import CAPTION_LENGTH, EncodeParameters

M = TypeVar("M", bound=BaseModel)


class ImageRequest(EncodeParameters):
    """An encoding and the image that it decodes to."""

    once: bool = False  # as of `tacit.web.jobs.preview.encode_preview`
    uncompressed: bool = False  # as of `tacit.web.jobs.display_images.lossless_file`


class TimesRequest(EncodeParameters):
    """The times of an encoding that was made before."""

    file: str  # the digest of its file


class BitsRequest(EncodeParameters):
    """Where the bits of an encoding go."""

    file: str | None = None  # the digest of its file; none for an encoding that steers to nothing


class ComparisonRequest(BaseModel, extra="forbid"):
    """Another codec's best file of at most this many bytes."""

    codec: Literal["JPEG", "WebP", "AVIF"]
    bytes: int = Field(ge=1)


class PointRequest(EncodeParameters):
    """A point of a codec's curve of rate and distortion."""

    codec: Literal["tacit", "JPEG", "WebP", "AVIF"]


class CaptionRequest(BaseModel, extra="forbid"):
    """A caption whose words are to be weighed, or whose things are to be found."""

    caption: str = Field(max_length=CAPTION_LENGTH)


def json_body(model: type[M]) -> Any:
    """Return a dependency that reads a request's body as a model, with the limits of `tacit.web.bodies`.

    FastAPI's own way would read bodies of any length.
    """

    def parse(body: Body) -> M:
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in problems]) from error

    return Depends(parse)
