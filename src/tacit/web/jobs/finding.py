"""Finding what a caption names in an image."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.finding import Found
from tacit.finding.boxes import boxes_around
from tacit.web.jobs.uploads import load_upload
from tacit.web.jobs.warning_messages import collected_messages
from tacit.web.workers.codecs import worker_codec


@dataclass(frozen=True, kw_only=True)
class SeenThing:
    """A thing that a caption names, and where the image shows it."""

    phrase: str  # as the caption has it
    cues: tuple[str, ...]  # what saw it
    sure: bool  # whether it is likely to be there
    boxes: tuple[tuple[int, int, int, int], ...]  # left, top, width, height in pixels; none where it is not found


@dataclass(frozen=True, kw_only=True)
class FindReply:
    """What was found of a caption in an image."""

    width: int
    height: int
    things: tuple[SeenThing, ...]
    warnings: tuple[str, ...]


def find(upload: bytes, caption: str, pixel_limit: int) -> FindReply:
    """Find what a caption names in an uploaded image.

    Raises:
        UnsupportedFile: The bytes are not an image of a known format.
        InvalidInput: The image is damaged, or the finder's answer cannot be used.
        ImageTooLarge: The image has more than `pixel_limit` pixels.
        CaptionerError: The finder asks an endpoint, which gives no answer.
    """
    with collected_messages() as messages:
        raster = load_upload(upload, pixel_limit)
        found = worker_codec().find(raster, caption)
    return FindReply(
        width=raster.width,
        height=raster.height,
        things=seen_things(found, raster.width, raster.height),
        warnings=tuple(messages),
    )


def seen_things(found: Found, width: int, height: int) -> tuple[SeenThing, ...]:
    """Return what was found as boxes around the places where each thing is seen.

    Args:
        found: What was found.
        width: The image's width in pixels.
        height: The image's height in pixels.
    """
    return tuple(
        SeenThing(
            phrase=thing.phrase,
            cues=thing.cues,
            sure=thing.sure,
            boxes=tuple(
                (left, top, right - left, bottom - top)
                for left, top, right, bottom in (() if thing.map is None else boxes_around(thing.map, width, height))
            ),
        )
        for thing in found.things
    )
