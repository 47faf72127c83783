"""CLIP, which embeds images and sentences into one space.

This is the only place that loads CLIP. Nothing is downloaded: see `tacit.pretrained.offline`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.errors import CorruptWeights
from tacit.pretrained.offline import load_offline

DEFAULT = "openai/clip-vit-base-patch32"
_SIZE, _SHA256 = 605_247_071, "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f"
MEAN = (0.48145466, 0.4578275, 0.40821073)
STANDARD_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class Clip(nn.Module):
    """CLIP's image and text networks, run by `transformers` (the extra `clip`).

    Gradients reach the images; the networks' own weights are not trained.

    Args:
        source: A folder, or a name whose files are in the Hugging Face cache; both with the tokenizer's files.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: The files are not on this machine; the message says how to get them.
        CorruptWeights: The files are not a CLIP model, or not all of one.
    """

    mean: Tensor
    standard_deviation: Tensor

    def __init__(self, source: str | os.PathLike[str] = DEFAULT) -> None:
        super().__init__()
        self._model, self._tokenizer = load_clip(source)
        self.side = int(self._model.config.vision_config.image_size)
        self.max_tokens = int(self._model.config.text_config.max_position_embeddings)
        for name, values in (("mean", MEAN), ("standard_deviation", STANDARD_DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def image(self, x: Tensor) -> Tensor:
        """Embed images.

        Args:
            x: [B, 3, side, side], RGB in [0, 1].

        Returns:
            [B, D], each row of length one.
        """
        states = self._model.vision_model(pixel_values=(x - self.mean) / self.standard_deviation).pooler_output
        return F.normalize(self._model.visual_projection(states), dim=1)

    def text(self, captions: Sequence[str]) -> Tensor:
        """Embed captions.

        Args:
            captions: B captions; each is cut at `max_tokens` tokens, the two special ones included.

        Returns:
            [B, D], each row of length one.
        """
        tokens = self._tokenizer(
            list(captions), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self.mean.device)
        states = self._model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
        return F.normalize(self._model.text_projection(states), dim=1)


def load_clip(source: str | os.PathLike[str] = DEFAULT, *, text_only: bool = False) -> tuple[Any, Any]:
    """Load a CLIP model and its tokenizer from this machine, and check that both are whole and belong together.

    Args:
        source: A folder, or a name whose files are in the Hugging Face cache.
        text_only: Load only the text network; the files need not contain the image network then.

    Returns:
        The model and the tokenizer, as `transformers` has them. The model does not train.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: The files are not on this machine; the message says how to get them.
        CorruptWeights: The files are not a CLIP model, or not all of one.
    """
    source = os.fspath(source)
    known = f" ({_SIZE:,} bytes, sha256 {_SHA256})" if source == DEFAULT else ""
    model, tokenizer = load_offline("CLIP", source, "CLIPTextModel" if text_only else "CLIPModel", known)
    vocabulary = (model.config if text_only else model.config.text_config).vocab_size
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if None in special or len(tokenizer) > vocabulary:
        raise CorruptWeights(f"CLIP {source}: its tokenizer is not the model's")
    return model, tokenizer
