"""Images that a worker keeps analysed, so that encoding one again at another quality is fast."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from tacit.web.jobs.coding import EncodeArguments
from tacit.web.jobs.uploads import load_upload

if TYPE_CHECKING:
    from tacit.codec import Prepared

KEPT_PIXELS = 16 << 20  # about 10 bytes of memory each


class PreparedImages:
    """The images encoded last, analysed; the oldest are dropped when all together have too many pixels."""

    def __init__(self, pixels: int = KEPT_PIXELS) -> None:
        self._limit = pixels
        self._prepared: OrderedDict[tuple[str, EncodeArguments], Prepared] = OrderedDict()

    def get(self, upload: bytes, digest: str, arguments: EncodeArguments, pixel_limit: int) -> Prepared:
        """Return an upload and its caption, ready to be encoded at any quality.

        Args:
            upload: The image.
            digest: Its digest, by which it is recognised.
            arguments: How it will be encoded; the target does not matter here.
            pixel_limit: The largest number of pixels that is decoded.

        Raises:
            UnsupportedFile: The bytes are not an image of a known format.
            InvalidInput: The image is damaged.
            ImageTooLarge: It has more than `pixel_limit` pixels.
        """
        arguments = replace(arguments, options=replace(arguments.options, quality=None, size=None, bpp=None, psnr=None))
        key = digest, arguments
        prepared = self._prepared.pop(key, None)
        if prepared is None:
            rasters = (other.raster for (of, *_), other in self._prepared.items() if of == digest)
            raster = next(rasters, None) or load_upload(upload, pixel_limit)
            prepared = arguments.codec().prepare(raster, arguments.caption, options=arguments.options)
        self._prepared[key] = prepared
        while sum(one.raster.width * one.raster.height for one in self._prepared.values()) > self._limit:
            self._prepared.popitem(last=False)
        return prepared


prepared_images = PreparedImages()
"""The images of this worker."""
