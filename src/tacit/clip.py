"""CLIP, which puts pictures and sentences into one space: how well does a picture fit its caption?

Its files are not fetched here; `hf download openai/clip-vit-base-patch32` does that.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.errors import CorruptWeights, MissingExtra, MissingWeights

DEFAULT = "openai/clip-vit-base-patch32"
_SIZE, _SHA256 = 605_247_071, "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f"
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)


class Clip(nn.Module):
    """CLIP's two networks, run through `transformers` (the extra `clip`). Gradients reach the pictures.

    source: a folder, or a name whose files are in the Hugging Face hub's cache; both with the tokenizer's files.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: the files are not on this machine; the message says how to get them.
        CorruptWeights: the files hold no CLIP model, or not the whole of it.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, source: str | os.PathLike[str] = DEFAULT) -> None:
        super().__init__()
        self._model, self._tokenizer = _load(str(source))
        self.side = int(self._model.config.vision_config.image_size)
        self.words = int(self._model.config.text_config.max_position_embeddings)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1), persistent=False)

    def image(self, x: Tensor) -> Tensor:
        """x [B, 3, side, side], RGB in [0, 1] -> embeddings [B, D] of length one."""
        states = self._model.vision_model(pixel_values=(x - self.mean) / self.spread).pooler_output
        return F.normalize(self._model.visual_projection(states), dim=1)

    def text(self, captions: Sequence[str]) -> Tensor:
        """Embeddings [B, D] of length one; a caption is cut at `words` tokens, the two special ones included."""
        tokens = self._tokenizer(
            list(captions), padding=True, truncation=True, max_length=self.words, return_tensors="pt"
        ).to(self.mean.device)
        states = self._model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
        return F.normalize(self._model.text_projection(states), dim=1)


def _load(source: str) -> tuple[Any, Any]:
    """The model and the tokenizer; `transformers` takes seconds to import, so it is imported here."""
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtra("CLIP needs transformers: pip install 'tacit[clip]'") from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, local_files_only=True)
        model, report = transformers.CLIPModel.from_pretrained(source, output_loading_info=True, local_files_only=True)
    except OSError as error:
        known = f" ({_SIZE:,} bytes, sha256 {_SHA256})" if source == DEFAULT else ""
        raise MissingWeights(
            f"CLIP needs {source}: its pytorch_model.bin{known} or model.safetensors, config.json and its "
            f"tokenizer's files, as a folder or by `hf download {source}` from https://huggingface.co"
        ) from error
    except (ValueError, KeyError, RuntimeError) as error:
        raise CorruptWeights(f"CLIP {source!r}: {_first_line(error)}") from error
    # transformers fills what a file lacks with random numbers and goes on.
    if lacking := sorted(report["missing_keys"]):
        raise CorruptWeights(f"CLIP {source!r}: {len(lacking)} tensors missing, the first {lacking[0]}")
    return model.eval().requires_grad_(False), tokenizer


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
