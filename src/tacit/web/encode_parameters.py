"""What a request can ask of an encoding: the options of `tacit.codec.EncodeOptions` as HTTP has them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tacit.codec.keep import Keep
from tacit.codec.options import EFFORTS, EncodeOptions
from tacit.errors import InvalidInput
from tacit.web.jobs.coding import EncodeArguments
from tacit.web.service import Service

CAPTION_LENGTH = 4096  # characters
REFINING_SHARE = 0.7  # of a job's time; what is left is for what comes before refinements and after them

KEPT_THINGS = 16  # of each kind in a request
KEPT_LENGTH = 300  # characters
STEERING_BOXES = 64  # in a request

BOX = r"^\d{1,9},\d{1,9},\d{1,9},\d{1,9}$"
"""What a box looks like in a request: left, top, width and height in pixels."""

_OPTIONS = {field.name for field in dataclasses.fields(EncodeOptions)} - {"keep", "boxes"}

KeptText = Annotated[str, Field(max_length=KEPT_LENGTH)]
BoxText = Annotated[str, Field(pattern=BOX)]


def parsed_box(text: str) -> tuple[int, int, int, int]:
    """Return a box that matches `BOX` as left, top, right and bottom."""
    left, top, width, height = map(int, text.split(","))
    return left, top, left + width, top + height


class EncodeParameters(BaseModel):
    """The options that both `/v1` and the page have; those of the same name are fields of `EncodeOptions`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    quality: float | None = Field(
        None, ge=0, le=100, description="0 (smallest file) to 100; 50 if no other target is given."
    )
    size: int | None = Field(None, ge=1, le=1 << 40, description="Instead of a quality: the largest size in bytes.")
    caption: str | None = Field(
        None,
        max_length=CAPTION_LENGTH,
        description="What the image shows. What the caption names is encoded at a higher quality, the rest at a lower "
        "one.",
        examples=["a red boat on a lake"],
    )
    steer: float | None = Field(
        None,
        ge=0,
        le=100,
        description="The difference in quality between what the caption names and the rest: 20 by default, 0 for the "
        "same quality everywhere.",
        examples=[40],
    )
    box: list[BoxText] = Field(
        [],
        max_length=STEERING_BOXES,
        description="What matters, as boxes of the image in pixels: LEFT,TOP,WIDTH,HEIGHT. They are encoded at a "
        "higher quality instead of what the caption names.",
        examples=[["120,80,64,32"]],
    )
    effort: int | None = Field(
        None,
        ge=EFFORTS[0],
        le=EFFORTS[-1],
        description="How long the encoder looks for a better file of the same image: 0 by default, at most the "
        "`effort_limit` of /v1/models.",
        examples=[3],
    )
    keep: list[KeptText] = Field(
        [],
        max_length=KEPT_THINGS,
        description="What a phrase names is kept at least at a PSNR in dB or a SSIMULACRA 2: PHRASE=36dB or "
        "PHRASE=75ssimulacra2. The rest has the quality, or takes what is left of the size.",
        examples=[["the licence plate=36dB"]],
    )
    keep_box: list[KeptText] = Field(
        [],
        max_length=KEPT_THINGS,
        description="The same for boxes of the image in pixels: LEFT,TOP,WIDTH,HEIGHT=36dB.",
        examples=[["120,80,64,32=36dB"]],
    )
    best_effort: bool = Field(
        False, description="Come as near as can be, with a warning, where something cannot be found or kept."
    )
    word_weights: bool = Field(False, description="Let names and rare nouns of the caption count for more.")
    store_caption: bool = Field(False, description="Keep the caption in the file.")
    model: str | None = Field(
        None,
        max_length=255,
        description="The name of a model of /v1/models, instead of the default.",
        examples=["tacit-s"],
    )

    def arguments(self, service: Service) -> EncodeArguments:
        """Return the encoding as workers take it; an empty caption counts as none.

        Raises:
            InvalidInput: There is more than one target, what is to be kept makes no sense, or the effort is more than
                the service allows.
            UnknownModel: The service has no such model.
        """
        limit = service.settings.effort_limit
        if self.effort is not None and self.effort > limit:
            raise InvalidInput(f"effort must be 0 to {limit} at this service, got {self.effort}")
        return EncodeArguments(
            caption=(self.caption or "").strip() or None,
            options=EncodeOptions(
                **self.model_dump(include=_OPTIONS),
                boxes=[parsed_box(box) for box in self.box] or None,
                keep=[*map(Keep.named, self.keep), *map(Keep.boxed, self.keep_box)],
                effort_seconds=REFINING_SHARE * service.settings.time_limit if self.effort else None,
            ),
            word_weights=self.word_weights,
            model=service.model(self.model),
        )
