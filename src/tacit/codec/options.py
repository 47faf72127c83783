"""The options of an encoding: the one list that Python, the command line, the service and the rest fill."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypedDict

from tacit.codec.keep import Keep
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

    from tacit.finding.boxes import Box

DEFAULT_QUALITY = 50.0
EFFORTS = range(10)  # levels of effort
DEFAULT_STEER = 20.0  # steps of quality between what a caption names and what it does not
DEFAULT_FINDER = "embedded"  # what finds what a caption names


@dataclass(frozen=True, kw_only=True)
class Target:
    """What an encoding must reach: at most one of a quality, a size, a rate and a PSNR.

    Raises:
        InvalidInput: More than one is given, or one is out of its range.
    """

    quality: float | None = None
    """The quality, 0 to 100; it is 50 where there is no target at all."""

    size: int | None = None
    """The largest size of the whole file, in bytes."""

    bpp: float | None = None
    """The largest number of bits of the whole file per pixel."""

    psnr: float | None = None
    """The lowest PSNR of the decoded image, in dB."""

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in TARGETS if getattr(self, name) is not None}
        for name, value in values.items():
            if not isinstance(value, Real):
                raise InvalidInput(f"{name} must be a number, got {value!r}")
        if len(values) > 1:
            raise InvalidInput(f"only one of quality, size, bpp and psnr can be given, got {' and '.join(values)}")
        for name, value in values.items():
            if name == "quality":
                check_quality(value)
            elif not 0 < value < math.inf:
                raise InvalidInput(f"{name} must be a positive number, got {value}")

    @property
    def target(self) -> Target:
        """The target alone."""
        return Target(quality=self.quality, size=self.size, bpp=self.bpp, psnr=self.psnr)


TARGETS = tuple(field.name for field in dataclasses.fields(Target))


@dataclass(frozen=True, kw_only=True)
class EncodeOptions(Target):
    """How an image is encoded: the target, and everything else but the image, its caption and the model.

    Options with a quality map cannot be compared or hashed; those without one can.

    Raises:
        InvalidInput: A value is out of its range, or there is more than one target.
    """

    quality_map: np.ndarray | None = None
    """What is added to the quality in each cell of 64x64 pixels: [ceil(H / 64), ceil(W / 64)], -100 to 100. Values are
    rounded to whole numbers."""

    steer: float | None = None
    """How many steps of quality lie between what the caption names and what it does not, 0 to 100; None takes the
    codec's own setting. With 0 a caption moves no bits from one place to another."""

    boxes: Sequence[Box] | None = None
    """Parts of the image that matter more than the rest, as left, top, right and bottom in pixels of the upright image.
    They are steered to instead of what the caption names; with an empty list nothing is. None looks for what the
    caption names."""

    effort: int | None = None
    """How long the encoder looks for a better file of the same image, 0 to 9; None takes the codec's own setting. From
    1 on it refines the latents by gradient descent, which takes seconds to minutes; decoding takes no longer."""

    effort_seconds: float | None = None
    """The most seconds that refinement may take; then it ends with the best that it has found, and a UserWarning says
    so. None lets it go on to its end, which alone gives the same file every time."""

    keep: Sequence[Keep] = ()
    """What comes back with at least some fidelity: named things or boxes. The rest of the image has the target's
    quality or, with a size, what is left of it."""

    best_effort: bool = False
    """Whether an encoding that cannot keep what `keep` asks for comes as near as it can, with a KeepWarning, instead
    of raising an error."""

    progressive: bool = True
    """Whether the beginning of the file gives the whole image, coarse. It costs a byte, and at most 0.5 % where an
    image has several regions. Without it a large image is stored region by region."""

    store_caption: bool = False
    """Whether the caption is kept in the file."""

    keep_metadata: bool = True
    """Whether the ICC profile, EXIF and XMP are kept; without the profile, colours are converted to sRGB."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.keep, Keep | str) or not all(isinstance(one, Keep) for one in self.keep):
            raise InvalidInput(f"keep must be a list of Keep, got {self.keep!r}")
        object.__setattr__(self, "keep", tuple(self.keep))
        if self.steer is not None:
            check_steer(self.steer)
        if self.effort is not None:
            check_effort(self.effort)
        if self.effort_seconds is not None and not self.effort_seconds >= 0:
            raise InvalidInput(f"effort_seconds must be at least 0, got {self.effort_seconds}")
        if self.boxes is not None:
            object.__setattr__(self, "boxes", checked_boxes(self.boxes))


class TargetFields(TypedDict, total=False):
    """The fields of `Target` but for the quality, as keyword arguments; they are explained there."""

    size: int | None
    bpp: float | None
    psnr: float | None


class EncodeFields(TargetFields, total=False):
    """The fields of `EncodeOptions` but for the quality, as keyword arguments; they are explained there."""

    quality_map: np.ndarray | None
    steer: float | None
    boxes: Sequence[Box] | None
    effort: int | None
    effort_seconds: float | None
    keep: Sequence[Keep]
    best_effort: bool
    progressive: bool
    store_caption: bool
    keep_metadata: bool


def merged(options: EncodeOptions | None, quality: float | None, fields: Any) -> EncodeOptions:
    """Return the options with a quality and single fields in place of their own.

    Args:
        options: The options to begin with; None for the defaults.
        quality: In place of that of the options; None to leave it.
        fields: Further fields by name, as in `EncodeFields`.

    Raises:
        InvalidInput: A value is out of its range, or there is more than one target.
        TypeError: There is no such field.
    """
    changes = dict(fields) if quality is None else {"quality": quality, **fields}
    return dataclasses.replace(options or EncodeOptions(), **changes)


def check_quality(quality: float) -> None:
    """Raise InvalidInput unless a quality is 0 to 100."""
    if not 0 <= quality <= 100:
        raise InvalidInput(f"quality must be 0 to 100, got {quality}")


def check_steer(steer: float) -> None:
    """Raise InvalidInput unless the strength of steering is 0 to 100."""
    if not 0 <= steer <= 100:
        raise InvalidInput(f"steer must be 0 to 100, got {steer}")


def checked_boxes(boxes: Any) -> tuple[Box, ...]:
    """Return boxes as tuples of four numbers.

    Raises:
        InvalidInput: One is none; whether they are in the image is checked when that is known.
    """
    try:
        checked = tuple((float(left), float(top), float(right), float(bottom)) for left, top, right, bottom in boxes)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"boxes must be a list of four numbers each, got {boxes!r}") from error
    for left, top, right, bottom in checked:
        if not (left < right and top < bottom):
            raise InvalidInput(
                "a box must be (left, top, right, bottom) with a width and a height, "
                f"got ({left:g}, {top:g}, {right:g}, {bottom:g})"
            )
    return checked


def check_effort(effort: int) -> None:
    """Raise InvalidInput unless a level of effort is a whole number from 0 to 9."""
    if isinstance(effort, bool) or effort not in EFFORTS:
        raise InvalidInput(f"effort must be a whole number from 0 to {EFFORTS[-1]}, got {effort}")
