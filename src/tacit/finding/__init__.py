"""Finding where in an image the things are that a caption names.

    found = find("photo.jpg", "a red boat on the lake")
    found.map, found.found, found.missed

A caption is cut into phrases; several cues say where each one's thing may be, and their maps are fused. Nothing here
knows of the codec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tacit.finding.cue_finder import EMBEDDED, CueFinder
from tacit.finding.finder import Finder
from tacit.finding.finders import FINDERS, load_finder
from tacit.finding.found import Found, FoundThing
from tacit.finding.function_finder import FinderFunction
from tacit.finding.maps import Map

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tacit.image.reading import ImageSource


def find(image: ImageSource, caption: str, finder: str | Finder | FinderFunction = EMBEDDED) -> Found:
    """Return where an image shows what a caption names.

    Args:
        image: Any image that `tacit.encode` takes.
        caption: The caption, or a phrase.
        finder: What finds it, as for `load_finder`.

    Raises:
        UnknownModel: There is no such finder.
        InvalidInput: The image cannot be used.
        PathError: The image cannot be read.
    """
    from tacit.image.reading import load

    return load_finder(finder)(load(image).pixels, caption)


def draw(pixels: NDArray[np.uint8], values: Map) -> NDArray[np.uint8]:
    """Return an image that is dark where a map is 0, and as it was where the map is 1.

    Args:
        pixels: uint8 [H, W, 1 or 3].
        values: Any size, 0 to 1.
    """
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    light = Image.fromarray(values.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    factor = 0.15 + 0.85 * np.asarray(light).clip(0, 1)[..., None]
    drawn: NDArray[np.uint8] = np.rint(np.broadcast_to(pixels, (height, width, 3)) * factor).astype(np.uint8)
    return drawn


__all__ = [
    "EMBEDDED",
    "FINDERS",
    "CueFinder",
    "Finder",
    "FinderFunction",
    "Found",
    "FoundThing",
    "draw",
    "find",
    "load_finder",
]
