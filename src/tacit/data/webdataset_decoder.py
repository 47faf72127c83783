"""`.tacit` files in WebDataset pipelines: `webdataset.WebDataset(shards).decode(tacit.data.decoder("rgb8"))`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from tacit.container import MAX_PIXELS
from tacit.data.local_codec import local_codec
from tacit.errors import InvalidInput

# As WebDataset names them: what comes out, the type of its samples, and Pillow's mode.
KINDS: dict[str, tuple[str, str, str]] = {
    f"{library}{mode}{suffix}": (library or "numpy", sample, mode.upper())
    for library in ("", "torch")
    for mode in ("l", "rgb", "rgba")
    for suffix, sample in (("8", "uint8"), ("", "float"))
}
KINDS |= {f"pil{mode}": ("pil", "uint8", mode.upper()) for mode in ("l", "rgb", "rgba")}
KINDS |= {"pil": KINDS["pilrgb"], "torch": KINDS["torchrgb"]}


class WebDatasetDecoder:
    """What `decoder` makes: called with a key (".tacit", "photo.tacit") and bytes. It may be pickled; its codec is the
    one of its process, loaded when it is first used."""

    def __init__(self, kind: str, *, precision: str, max_pixels: int | None) -> None:
        if kind not in KINDS:
            raise InvalidInput(f"decoder {kind!r}: there are {', '.join(KINDS)}")
        self.kind, self.precision, self.max_pixels = kind, precision, max_pixels

    def __call__(self, key: str, data: bytes) -> Any:
        if key.rpartition(".")[2].lower() != "tacit":
            return None
        library, sample, mode = KINDS[self.kind]
        image = local_codec(self.precision).decode(data, max_pixels=self.max_pixels).convert(mode)
        if library == "pil":
            return image
        pixels = _pixels(image, sample)
        if library == "numpy":
            return pixels
        # [H, W] stays as it is, [H, W, C] becomes [C, H, W]
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if pixels.ndim == 3 else pixels)


def decoder(kind: str = "rgb8", *, precision: str = "auto", max_pixels: int | None = MAX_PIXELS) -> WebDatasetDecoder:
    """A handler of WebDataset's `decode` for keys that end in `.tacit`; for others it gives None, so that the next one
    is asked. `decode(tacit.data.decoder("rgb8"), "rgb8")` reads `.tacit` and `.jpg` in the same shards.

    kind: as WebDataset names them. "rgb8" is an array [H, W, 3] of uint8, "rgb" of float32 in [0, 1], "torchrgb8" and
    "torchrgb" are tensors [3, H, W], "pil" is a Pillow image; "l" or "rgba" in place of "rgb" are grey, [H, W], and
    with alpha. precision: as for `tacit.Codec`. max_pixels: limit on width x height, None for none.

    The decoder raises FileError, ImageTooLarge or MissingWeights; WebDataset's own argument `handler` says whether such
    a sample is skipped.

    Raises: InvalidInput.
    """
    return WebDatasetDecoder(kind, precision=precision, max_pixels=max_pixels)


def _pixels(image: Image.Image, sample: str) -> np.ndarray:
    pixels = np.array(image)
    return pixels.astype(np.float32) / np.float32(255) if sample == "float" else pixels
