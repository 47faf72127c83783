"""Grounding DINO, which detects things by words (2303.05499)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.pretrained.image_input import IMAGENET, ImageInput
from tacit.pretrained.open_vocabulary import Detections, NamedThing, OpenVocabularyNetwork, corners

SIDES = {"shortest_edge": 800, "longest_edge": 1333}
END = "."  # behind each thing; what is between two of these is read by itself


class GroundingDino(OpenVocabularyNetwork):
    """Grounding DINO as `transformers` has it."""

    title = "Grounding DINO"
    network = "GroundingDinoForObjectDetection"

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        super().__init__(folder, device)
        self._images = ImageInput(folder, IMAGENET, SIDES)
        self._longest = int(self._model.config.max_text_len)

    def __call__(self, pixels: NDArray[np.uint8], things: Sequence[NamedThing]) -> list[Detections]:
        """Return where an image shows each of some things; it is seen once for as many as a text of the model holds.

        Args:
            pixels: uint8 [H, W, 3].
            things: The things.
        """
        image = self._images.fitted(pixels).to(self._device)
        return [found for group in self._groups(things) for found in self._seen(image, group)]

    def _groups(self, things: Sequence[NamedThing]) -> Iterator[list[NamedThing]]:
        """Yield the things, as many together as one text holds."""
        group: list[NamedThing] = []
        held = 2  # tokens, those of the beginning and the end
        for thing in things:
            length = len(self._tokenizer(_plain(thing.text), add_special_tokens=False)["input_ids"]) + 1
            if group and held + length > self._longest:
                yield group
                group, held = [], 2
            group.append(thing)
            held += length
        if group:
            yield group

    def _seen(self, image: torch.Tensor, things: Sequence[NamedThing]) -> list[Detections]:
        text, heads = "", []
        for thing in things:
            heads.append([len(text) + at for at in thing.head])
            text += f"{_plain(thing.text)}{END} "
        tokens = self._tokenizer(
            text, truncation=True, max_length=self._longest, return_tensors="pt", return_offsets_mapping=True
        )
        places = tokens.pop("offset_mapping")[0].tolist()
        tokens = tokens.to(self._device)
        with torch.inference_mode():
            seen = self._model(
                pixel_values=image,
                pixel_mask=torch.ones(1, *image.shape[2:], dtype=torch.long, device=image.device),
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                token_type_ids=torch.zeros_like(tokens["input_ids"]),
            )
        scores = seen.logits[0].sigmoid().float().cpu().numpy()[:, : len(places)]
        boxes = corners(seen.pred_boxes[0].float().cpu().numpy())
        found = []
        for start, stop in heads:
            own = [number for number, (first, last) in enumerate(places) if first < stop and last > start]
            found.append(Detections(scores[:, own].max(axis=1) if own else np.zeros(len(scores), np.float32), boxes))
        return found


def _plain(text: str) -> str:
    """Return words as the model reads them; as many letters, so that places stay."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in text).replace(".", " ").replace("?", " ")
