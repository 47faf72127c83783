"""The suffixes of the images that can be read here."""

from __future__ import annotations

from PIL import Image, ImageFile

from tacit.files import IMAGE_SUFFIXES

# Formats that are no images, or that Pillow knows and cannot read by itself: EPS would start Ghostscript.
_OTHER_FORMATS = {"EPS", "IPTC", "MPEG"}
# Suffixes that mostly mean something else: bare samples, tracks of watches, circuit boards, point clouds, sounds.
_OTHER_MEANINGS = {".bw", ".fit", ".gbr", ".im", ".pcd", ".rgb", ".rgba", ".vst"}


def readable_suffixes() -> frozenset[str]:
    """Return `IMAGE_SUFFIXES` and those of the other formats that Pillow and its plugins read, in lower case."""
    Image.init()
    readers = {
        format
        for format, (factory, _) in Image.OPEN.items()
        if format not in _OTHER_FORMATS
        and not (isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile))
    }
    registered = {suffix.lower() for suffix, format in Image.registered_extensions().items() if format in readers}
    registered.discard(".tacit")  # of this package's own plugin, where it is loaded: what is encoded is no .tacit file
    return IMAGE_SUFFIXES | registered - _OTHER_MEANINGS
