"""The caption in an image's own metadata."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

from PIL import ExifTags, Image

from tacit.image.xmp import xmp_descriptions, xmp_packet

# What cameras and programs write into ImageDescription where nobody has described anything.
_PLACEHOLDER = re.compile(
    r"(?:[\w ]*digital (?:still )?camera|sony dsc|exif_jpeg_picture|default|untitled|dcim[/\\].*|imagej=.*|\{.*)\s*\Z",
    re.IGNORECASE | re.DOTALL,
)


def caption_from_metadata(image: Image.Image) -> str | None:
    """Return what an image's own metadata says that it shows, or None.

    That is the first that there is of: a `.tacit` file's caption, XMP dc:description, IPTC's alternative text (in XMP)
    and EXIF ImageDescription. Phrases that cameras put there by themselves do not count.
    """
    captions = (_clean(text) for text in _descriptions(image) if isinstance(text, str))
    return next((caption for caption in captions if caption and not _PLACEHOLDER.match(caption)), None)


def _descriptions(image: Image.Image) -> Iterator[object]:
    yield image.info.get("caption")
    packet = xmp_packet(image)
    if packet is not None:
        yield from xmp_descriptions(packet)
    try:
        description = image.getexif().get(ExifTags.Base.ImageDescription)
    except (Warning, MemoryError):
        raise
    except Exception:  # Pillow's parser answers broken EXIF with errors of many kinds; kept_exif warns of it
        return
    if isinstance(description, str):
        with suppress(UnicodeError):  # EXIF asks for ASCII, Pillow reads Latin-1, and what is there is mostly UTF-8.
            description = description.encode("latin-1").decode("utf-8")
    yield description


def _clean(text: str) -> str:
    """Remove what a file's caption may not have: control characters (but tab and line ends) and lone surrogates."""
    return "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) not in ("Cc", "Cs")).strip()
