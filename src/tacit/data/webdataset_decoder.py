"""A decoder of `.tacit` files for WebDataset pipelines.

For example: `webdataset.WebDataset(shards).decode(tacit.data.decoder("rgb8"))`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from tacit.container import MAX_PIXELS
from tacit.data.local_codec import local_codec
from tacit.errors import InvalidInput
from tacit.extras import require

KINDS: dict[str, tuple[str, str, str]] = {
    f"{library}{mode}{suffix}": (library or "numpy", sample, mode.upper())
    for library in ("", "torch")
    for mode in ("l", "rgb", "rgba")
    for suffix, sample in (("8", "uint8"), ("", "float"))
}
"""The kinds that WebDataset names: what each gives, the type of its samples, and Pillow's mode."""
KINDS |= {f"pil{mode}": ("pil", "uint8", mode.upper()) for mode in ("l", "rgb", "rgba")}
KINDS |= {"pil": KINDS["pilrgb"], "torch": KINDS["torchrgb"]}


class WebDatasetDecoder:
    """A handler of WebDataset's `decode`; `decoder` makes one.

    It can be pickled. Its codec is the one of its process, loaded when it is first used.
    """

    def __init__(self, kind: str, *, precision: str, max_pixels: int | None) -> None:
        if kind not in KINDS:
            raise InvalidInput(f"the decoder's kind must be one of {', '.join(KINDS)}, got {kind!r}")
        self.kind, self.precision, self.max_pixels = kind, precision, max_pixels

    def __call__(self, key: str, data: bytes) -> Any:
        """Decode a file.

        Args:
            key: The name of the file or its suffix, such as ".tacit" or "photo.tacit".
            data: The file's bytes.

        Returns:
            The image as `kind` says, or None where the key does not end in `.tacit`.

        Raises:
            FileError: The file is damaged or of another format.
            ImageTooLarge: The image has more than `max_pixels` pixels.
            MissingExtra: `kind` says tensors, and torch is not installed.
            MissingWeights: The file's weights are not on this machine.
        """
        if key.rpartition(".")[2].lower() != "tacit":
            return None
        library, sample, mode = KINDS[self.kind]
        image = local_codec(self.precision).decode(data, max_pixels=self.max_pixels).convert(mode)
        if library == "pil":
            return image
        pixels = _pixels(image, sample)
        if library == "numpy":
            return pixels
        torch = require("torch", f"the kind {self.kind}", "torch")
        # [H, W] stays as it is, [H, W, C] becomes [C, H, W].
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if pixels.ndim == 3 else pixels)


def decoder(kind: str = "rgb8", *, precision: str = "auto", max_pixels: int | None = MAX_PIXELS) -> WebDatasetDecoder:
    """Make a handler of WebDataset's `decode` for keys that end in `.tacit`.

    For other keys the handler returns None, so that WebDataset asks the next one: `decode(tacit.data.decoder("rgb8"),
    "rgb8")` reads `.tacit` and `.jpg` in the same shards. The handler raises FileError, ImageTooLarge or
    MissingWeights; WebDataset's own argument `handler` decides whether such a sample is skipped.

    Args:
        kind: What images become, as WebDataset names it. "rgb8" is an array [H, W, 3] of uint8, "rgb" of float32 in
            [0, 1]; "torchrgb8" and "torchrgb" are tensors [3, H, W]; "pil" is a Pillow image. With "l" in place of
            "rgb" images are grey, [H, W], and with "rgba" they have alpha.
        precision: The precision of the codec, as for `tacit.Codec`.
        max_pixels: The limit on width x height; None for no limit.

    Raises:
        InvalidInput: The kind is unknown.
    """
    return WebDatasetDecoder(kind, precision=precision, max_pixels=max_pixels)


def _pixels(image: Image.Image, sample: str) -> np.ndarray:
    pixels = np.array(image)
    return pixels.astype(np.float32) / np.float32(255) if sample == "float" else pixels
