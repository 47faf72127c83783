"""`GET /v1/models`: the models on this machine, and the limits of the service."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tacit.web import problems
from tacit.web.service import ServiceDep

router = APIRouter(prefix="/v1")


class ModelResponse(BaseModel):
    """Weights on this machine."""

    name: str
    architecture: str
    weights_hash: str = Field(description="Hexadecimal; in the header of every file that these weights made.")
    variable_rate: bool = Field(description="Whether a quality can be chosen.")
    default: bool = Field(description="Whether /v1/encode uses these weights if a request names none.")


class ModelsResponse(BaseModel):
    """What this service can do."""

    models: list[ModelResponse]
    body_limit: int = Field(description="The largest size of a request, in bytes.")
    pixel_limit: int = Field(description="The largest width x height of an image.")
    effort_limit: int = Field(description="The highest level of effort that /v1/encode may be asked for.")
    captioner: str | None = Field(description="The model behind /v1/caption; null if there is none.")


@router.get("/models", summary="List the models and the limits", responses=problems.documented(500))
def models(service: ServiceDep) -> ModelsResponse:
    """Every model decodes its own files; the default model encodes if a request names no other."""
    settings = service.settings
    return ModelsResponse(
        models=[
            ModelResponse(
                name=weights.name,
                architecture=weights.architecture,
                weights_hash=weights.decode_hash.hex(),
                variable_rate=weights.variable_rate,
                default=not place,
            )
            for place, weights in enumerate(service.models().values())
        ],
        body_limit=settings.body_limit,
        pixel_limit=settings.pixel_limit,
        effort_limit=settings.effort_limit,
        captioner=None if settings.caption_url is None else settings.caption_model,
    )
