"""IPTC and texts of files as properties of XMP, which every format holds that holds metadata."""

from __future__ import annotations

import re
import unicodedata

from PIL import Image, ImageFile, IptcImagePlugin

from tacit.image.messages import one_line, warn

# The datasets of IPTC's record 2 and their places in XMP, as the Metadata Working Group and IPTC Core have them.
_PLACES = {
    5: "dc:title",
    12: "Iptc4xmpCore:SubjectCode",
    15: "photoshop:Category",
    20: "photoshop:SupplementalCategories",
    25: "dc:subject",
    40: "photoshop:Instructions",
    80: "dc:creator",
    85: "photoshop:AuthorsPosition",
    90: "photoshop:City",
    92: "Iptc4xmpCore:Location",
    95: "photoshop:State",
    100: "Iptc4xmpCore:CountryCode",
    101: "photoshop:Country",
    103: "photoshop:TransmissionReference",
    105: "photoshop:Headline",
    110: "photoshop:Credit",
    115: "photoshop:Source",
    116: "dc:rights",
    120: "dc:description",
    122: "photoshop:CaptionWriter",
}
_NO_CONTENT = {0, 10, 60, 62, 63, 65, 70, 75}  # the version, the urgency, times and programs
_DATE = 55
# The keywords of PNG's texts that have a place in XMP.
_KEYWORDS = {
    "title": "dc:title",
    "author": "dc:creator",
    "description": "dc:description",
    "copyright": "dc:rights",
    "comment": "exif:UserComment",
}
# Texts that name the program or the device of the file, are about the file which is left behind, or were copied from
# other metadata by programs.
_PASSED_OVER = re.compile(
    r"software|source|creation time|signature|dpi|xml:com\.adobe\.xmp|raw profile type .*"
    r"|(?:date|exif|icc|jpeg|png|tiff|xmp|thumb)::?.*",
    re.IGNORECASE,
)
_OF_ENCODERS = re.compile(
    r"creator: gd-jpeg|created with|lavc|lead technologies|file written by|compressed by|optimized by|intel\(r\)"
    r"|jpeg encoder|handmade software|\*|xv \d|processed by|\$",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """Remove what a file's caption may not have: control characters (but tab and line ends) and lone surrogates."""
    return "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) not in ("Cc", "Cs")).strip()


def iptc_properties(image: Image.Image, name: str) -> dict[str, tuple[str, ...]]:
    """Return an image's IPTC metadata as properties of XMP; what has no place there is warned of, by number.

    Args:
        image: The image, loaded.
        name: What warnings call it.
    """
    if not isinstance(image, ImageFile.ImageFile):
        return {}
    try:
        datasets = IptcImagePlugin.getiptcinfo(image) or {}
    except (Warning, MemoryError):
        raise
    except Exception as error:  # Pillow's parser answers damage with errors of many kinds
        warn(f"{name}: unreadable IPTC metadata are dropped ({one_line(error)})")
        return {}
    properties: dict[str, tuple[str, ...]] = {}
    lost = []
    for (record, number), data in sorted(datasets.items()):
        values = data if isinstance(data, list) else [data]
        texts = tuple(text for value in values if (text := clean(_decoded(value))))
        if record != 2 or number in _NO_CONTENT or not texts:
            continue
        if number == _DATE and re.fullmatch(r"\d{8}", texts[0]):
            properties["photoshop:DateCreated"] = (f"{texts[0][:4]}-{texts[0][4:6]}-{texts[0][6:]}",)
        elif number in _PLACES:
            properties[_PLACES[number]] = texts
        else:
            lost.append(f"2:{number:02d}")
    if lost:
        warn(f"{name}: IPTC {', '.join(lost)} {'has' if len(lost) == 1 else 'have'} no place in XMP, and left out")
    return properties


def text_properties(image: Image.Image, name: str) -> dict[str, tuple[str, ...]]:
    """Return a PNG's texts or a JPEG's or GIF's comment as properties of XMP; other texts are warned of, by keyword.

    Args:
        image: The image, loaded.
        name: What warnings call it.
    """
    texts = getattr(image, "text", None) if image.format == "PNG" else None
    comment = image.info.get("comment") if image.format in ("JPEG", "MPO", "GIF") else None
    properties: dict[str, tuple[str, ...]] = {}
    if isinstance(comment, bytes | str):
        text = clean(_decoded(comment) if isinstance(comment, bytes) else comment)
        if text and not _OF_ENCODERS.match(text):
            properties["exif:UserComment"] = (text,)
    lost = []
    for keyword, value in (texts if isinstance(texts, dict) else {}).items():
        place = _KEYWORDS.get(keyword.strip().lower())
        text = clean(str(value))
        if place is not None and text:
            properties[place] = (text,)
        elif text and not _PASSED_OVER.fullmatch(keyword.strip()):
            lost.append(repr(keyword))
    if lost:
        warn(f"{name}: the text{'s' * (len(lost) > 1)} {', '.join(lost)} cannot be kept")
    return properties


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
