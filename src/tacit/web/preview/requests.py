"""The bodies of the page's requests."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tacit.web.bodies import Body
from tacit.web.jobs.coding import EncodeArguments
from tacit.web.service import Service

CAPTION_LENGTH = 4096  # characters

M = TypeVar("M", bound=BaseModel)


class PreviewRequest(BaseModel):
    """A JSON body in which every entry must be known."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class EncodingRequest(PreviewRequest):
    """An encoding with tacit; the names are those of /v1/encode."""

    quality: float | None = Field(None, ge=0, le=100)
    size: int | None = Field(None, ge=1, le=1 << 40)
    caption: str | None = Field(None, max_length=CAPTION_LENGTH)
    steer: float | None = Field(None, ge=0, le=100)
    word_weights: bool = False
    store_caption: bool = False
    model: str | None = Field(None, max_length=255)

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if self.quality is not None and self.size is not None:
            raise ValueError("only one of quality and size can be given")
        return self

    def arguments(self, service: Service) -> EncodeArguments:
        """Return the encoding as workers take it; an empty caption counts as none."""
        return EncodeArguments(
            caption=(self.caption or "").strip() or None,
            quality=self.quality,
            size=self.size,
            store_caption=self.store_caption,
            steer=self.steer,
            word_weights=self.word_weights,
            model=service.model(self.model),
        )


class ImageRequest(EncodingRequest):
    """An encoding and the image that it decodes to."""

    once: bool = False  # as of `tacit.web.jobs.preview.encode_preview`
    uncompressed: bool = False  # as of `tacit.web.jobs.display_images.lossless_file`


class TimesRequest(EncodingRequest):
    """The times of an encoding that was made before."""

    file: str  # the digest of its file


class ComparisonRequest(PreviewRequest):
    """Another codec's best file of at most this many bytes."""

    codec: Literal["JPEG", "WebP", "AVIF"]
    bytes: int = Field(ge=1)


class PointRequest(EncodingRequest):
    """A point of a codec's curve of rate and distortion."""

    codec: Literal["tacit", "JPEG", "WebP", "AVIF"]


class WordsRequest(PreviewRequest):
    """A caption whose words are to be weighed."""

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
