"""The caption in an image's own metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from PIL import ExifTags, Image

from tacit.image.iptc import clean
from tacit.image.xmp import xmp_descriptions, xmp_packet

# What cameras and programs write into ImageDescription where nobody has described anything.
_PLACEHOLDER = re.compile(
    r"(?:[\w ]*digital (?:still )?camera|sony dsc|exif_jpeg_picture|default|untitled|dcim[/\\].*|imagej=.*|\{.*)\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
# What a UserComment has that is a list of settings: assignments, codes, the parameters of a generator.
_SETTINGS = re.compile(r"[;={}|<>\ufffd]|\w_\w|steps: \d|negative prompt:|[\w ]+: ?[\d.]+(?:,|$)", re.IGNORECASE)


def caption_from_metadata(
    image: Image.Image,
    *,
    iptc: Mapping[str, tuple[str, ...]] | None = None,
    texts: Mapping[str, tuple[str, ...]] | None = None,
) -> str | None:
    """Return what an image's own metadata says that it shows, or None.

    That is the first that there is of: a `.tacit` file's caption, IPTC's caption, XMP dc:description, IPTC's
    alternative text (in XMP), PNG's Description, EXIF ImageDescription, and EXIF UserComment where it reads like a
    sentence. Phrases that cameras put there by themselves do not count.

    Args:
        image: The image.
        iptc: The image's IPTC metadata, as properties of XMP.
        texts: The texts of its file, as properties of XMP.
    """
    captions = (clean(text) for text in _descriptions(image, iptc or {}, texts or {}) if isinstance(text, str))
    return next((caption for caption in captions if caption and not _PLACEHOLDER.match(caption)), None)


def _descriptions(
    image: Image.Image, iptc: Mapping[str, tuple[str, ...]], texts: Mapping[str, tuple[str, ...]]
) -> Iterator[object]:
    yield image.info.get("caption")
    yield from iptc.get("dc:description", ())
    packet = xmp_packet(image)
    if packet is not None:
        yield from xmp_descriptions(packet)
    yield from texts.get("dc:description", ())
    try:
        exif = image.getexif()
        description = exif.get(ExifTags.Base.ImageDescription)
        comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except (Warning, MemoryError):
        raise
    except Exception:  # Pillow's parser answers broken EXIF with errors of many kinds; kept_exif warns of it
        return
    if isinstance(description, str):
        with suppress(UnicodeError):  # EXIF asks for ASCII, Pillow reads Latin-1, and what is there is mostly UTF-8.
            description = description.encode("latin-1").decode("utf-8")
    yield description
    if isinstance(comment, bytes):
        text = _user_comment(comment[:4000])
        # Phones and generators of images keep settings there, which must not guide an encoder.
        if len(re.findall(r"[^\W\d_]{2,}", text)) >= 3 and not _SETTINGS.search(text):
            yield text


def _user_comment(comment: bytes) -> str:
    """Return the text in EXIF's UserComment, whose first 8 bytes name its characters."""
    code, data = comment[:8], comment[8:]
    if code.startswith(b"UNICODE"):
        order = "utf-16-be" if data[:1] == b"\0" or data[:2] == b"\xfe\xff" else "utf-16-le"
        return data.decode(order, "replace").strip("\ufeff\0 ")
    if code.startswith(b"JIS"):
        return data.decode("iso2022_jp", "replace").strip("\0 ")
    return data.decode("utf-8", "replace").strip("\0 ")
