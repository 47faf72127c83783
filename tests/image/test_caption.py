"""The caption in an image's own metadata."""

from __future__ import annotations

import pytest
from PIL import Image

from support.image_files import exif_with, languages, xmp_with
from tacit.container import MAX_CAPTION
from tacit.image import ConversionWarning, caption_from_metadata, load


def image_with(xmp: bytes | None = None, description: str | bytes | None = None) -> Image.Image:
    image = Image.new("L", (1, 1))
    if xmp is not None:
        image.info["xmp"] = xmp
    if description is not None:
        image.info["exif"] = exif_with(ImageDescription=description).tobytes()
    return image


DESCRIPTION = languages("dc:description", x_default="described")


ALTERNATIVE = languages("Iptc4xmpCore:AltTextAccessibility", x_default="alternative")


@pytest.mark.parametrize(
    ("image", "caption"),
    [
        (image_with(), None),
        (image_with(xmp_with(ALTERNATIVE + DESCRIPTION), "exif"), "described"),
        (image_with(xmp_with(ALTERNATIVE), "exif"), "alternative"),
        (image_with(xmp_with(languages("dc:description", x_default="  ")), "exif"), "exif"),
        (image_with(xmp_with(""), "exif"), "exif"),
        (image_with(xmp_with(languages("dc:description", de="Boot", en_GB="boat", fr="bateau"))), "boat"),
        (image_with(xmp_with(languages("dc:description", de="Boot", fr="bateau"))), "Boot"),
        (image_with(xmp_with(languages("dc:description", en="boat", x_default="Boot"))), "Boot"),
        (image_with(xmp_with("<dc:description>plain</dc:description>")), "plain"),
        (image_with(xmp_with("", 'dc:description="short"')), "short"),
        (image_with(xmp_with(DESCRIPTION) + b"\0\0"), "described"),
        (image_with(b"<not-xml", "exif"), "exif"),
        (image_with(b"\xff\xfe\0", "exif"), "exif"),
        (image_with(None, "OLYMPUS DIGITAL CAMERA         "), None),
        (image_with(None, "SONY DSC"), None),
        (image_with(None, "Sony digital cameras on a table"), "Sony digital cameras on a table"),
        (image_with(None, "ein grünes Boot".encode()), "ein grünes Boot"),
        (image_with(None, "gr\u00fcn".encode("latin-1")), "grün"),
        (image_with(None, " two\nlines\x07 "), "two\nlines"),
    ],
)
def test_caption_from_metadata(image: Image.Image, caption: str | None) -> None:
    assert caption_from_metadata(image) == caption
    assert load(image).metadata.caption == caption


def test_xml_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "described">]>' + xmp_with(languages("dc:description", x_default="&a;"))
    assert caption_from_metadata(image_with(bomb)) is None


def test_long_caption_is_cut_between_characters() -> None:
    image = Image.new("L", (1, 1))
    image.info["caption"] = "x" + "ü" * MAX_CAPTION
    with pytest.warns(ConversionWarning, match="cut to 65535 bytes"):
        caption = load(image).metadata.caption
    assert caption == "x" + "ü" * (MAX_CAPTION // 2)
