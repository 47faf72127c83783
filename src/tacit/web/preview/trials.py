"""What other codecs made of the images lately looked at, so that no quality is encoded twice."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

TRIED_IMAGES = 256


@dataclass(frozen=True, kw_only=True)
class CodecTrial:
    """Another codec's file at one quality."""

    bytes: int
    digest: str  # of the file, by which the service keeps it among its results
    psnr: float | None  # in dB; None if nothing was lost
    encode_time: float  # milliseconds
    decode_time: float  # milliseconds


class TrialStore:
    """The trials of the images lately looked at: searches for a size and curves try the same qualities."""

    def __init__(self) -> None:
        self._images: OrderedDict[str, dict[tuple[str, float], CodecTrial]] = OrderedDict()

    def of_image(self, digest: str) -> dict[tuple[str, float], CodecTrial]:
        """Return an image's trials by codec and quality; adding to the dictionary keeps a trial."""
        trials = self._images.setdefault(digest, {})
        self._images.move_to_end(digest)
        if len(self._images) > TRIED_IMAGES:
            self._images.popitem(last=False)
        return trials
