"""Sample images: photographs that come with scikit-image, each with a caption.

The demo, the service's page, the smoke training and the benchmarks use them.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from tacit.errors import MissingExtra


@dataclass(frozen=True)
class SampleImage:
    """One image of scikit-image, with what the demo says about it."""

    name: str
    """The image's name in `skimage.data`."""
    caption: str
    """What the image shows."""
    detail: tuple[int, int, int]
    """The part that the page enlarges at first: left, top and width, in pixels. Its height follows from the page."""
    phrase: str = ""
    """A thing in the image; the page shows what a caption that names it changes. Empty: it does not."""
    note: str = ""
    """A remark that the page shows behind the caption."""


SAMPLES = (
    SampleImage(
        "astronaut",
        "a smiling astronaut in an orange suit in front of a flag and a space shuttle",
        (160, 60, 136),
        phrase="the woman's face",
    ),
    SampleImage("chelsea", "a close-up of a tabby cat with green eyes", (125, 65, 136)),
    SampleImage("coffee", "a cup of espresso on a red saucer with a spoon on a wooden table", (300, 190, 136)),
    SampleImage(
        "rocket",
        "a white rocket on its launch pad between steel towers at dusk",
        (270, 112, 136),
        note="scikit-image keeps this one as a JPEG, so every codec gets an image with traces of JPEG in it.",
    ),
)


def sample_image(name: str) -> Image.Image:
    """Return an image of scikit-image as RGB.

    Args:
        name: The image's name in `skimage.data`, such as that of one of `SAMPLES`.

    Raises:
        MissingExtra: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise MissingExtra("the sample images come with scikit-image: pip install 'tacit[demo]'") from error
    return Image.fromarray(getattr(data, name)()).convert("RGB")
