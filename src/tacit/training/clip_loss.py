"""The joint image-text loss: the reconstruction shall mean what its caption says, and what the photo meant.

Source: TACO, ICML 2024, arXiv 2403.02944: a symmetric contrastive loss between CLIP's embeddings of reconstructions and
captions, plus beta times the norm of the difference of the image embeddings of reconstruction and photo.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor

from tacit.errors import CorruptWeights, MissingExtra, MissingWeights

LOGIT_SCALE = math.exp(2.6592)  # 1 / 0.07
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's own pictures
SPREAD = (0.26862954, 0.26130258, 0.27577711)

Gather = Callable[[Tensor], Tensor]
"""[B, ...] of this process -> [processes * B, ...] of all, in their order, through which gradients pass."""


class ClipLoss:
    """CLIP looks at reconstructions. Its own weights do not learn.

    source: a local folder or a name on the Hugging Face hub; beta: of the difference between the image embeddings,
    which are of length one; published: one norm over the differences of this process' whole batch, as the published
    code took it, instead of the images' mean.

    Raises:
        MissingExtra: transformers is not installed.
        MissingWeights: CLIP's files are neither here nor to be had.
        CorruptWeights: the files hold no CLIP model.
    """

    def __init__(self, source: str, beta: float = 40.0, *, published: bool = False) -> None:
        self.beta, self.published = beta, published
        self._model, self._tokenizer = _load(source)
        self._size = int(self._model.config.vision_config.image_size)
        self._length = int(self._model.config.text_config.max_position_embeddings)

    def to(self, device: torch.device) -> ClipLoss:
        """This, with its network on `device`."""
        self._model.to(device)
        return self

    def __call__(self, x_hat: Tensor, x: Tensor, captions: Sequence[str | None], gather: Gather) -> Tensor:
        """x_hat, x: [B, 3, H, W] in [0, 1]. A photo without a caption has no part in the contrastive loss."""
        found = self.image(x_hat)
        with torch.no_grad():
            wanted = self.image(x)
            words = self.text(captions)
        loss = contrastive(gather(found), gather(words), gather(_there(captions, x.device)))
        difference = found - wanted
        # per image the processes' gradients average to those of the whole batch
        norm: Tensor = difference.norm() if self.published else difference.norm(dim=1).mean()
        return loss + self.beta * norm

    def image(self, x: Tensor) -> Tensor:
        """x [B, 3, H, W] in [0, 1] -> embeddings [B, D] of length one."""
        size = (self._size, self._size)
        x = F.interpolate(x.float().clamp(0, 1), size, mode="bicubic", antialias=True)
        mean, spread = (x.new_tensor(v)[:, None, None] for v in (MEAN, SPREAD))
        states = self._model.vision_model(pixel_values=(x - mean) / spread).pooler_output
        return F.normalize(self._model.visual_projection(states), dim=1)

    def text(self, captions: Sequence[str | None]) -> Tensor:
        """Embeddings [B, D] of length one; longer captions are cut at CLIP's length."""
        tokens = self._tokenizer(
            [c or "" for c in captions],
            padding=True,
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        ).to(self._model.device)
        states = self._model.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        return F.normalize(self._model.text_projection(states), dim=1)


def contrastive(images: Tensor, words: Tensor, there: Tensor) -> Tensor:
    """Symmetric contrastive loss of embeddings [N, D] of length one; there [N]: 1 where there is a caption.

    Zero where fewer than one caption is there.
    """
    hidden = torch.where(there[:, None] * there[None, :] > 0, 0.0, -1e4)
    logits = LOGIT_SCALE * images @ words.T + hidden
    target = torch.arange(len(images), device=images.device)
    both = F.cross_entropy(logits, target, reduction="none") + F.cross_entropy(logits.T, target, reduction="none")
    return (both * there).sum() / (2 * there.sum().clamp_min(1))


def _there(captions: Sequence[str | None], device: torch.device) -> Tensor:
    return torch.tensor([1.0 if c else 0.0 for c in captions], device=device)


def _load(source: str) -> tuple[Any, Any]:
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtra("the joint loss needs CLIP through transformers: pip install 'tacit[clip]'") from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        model, report = transformers.CLIPModel.from_pretrained(source, output_loading_info=True)
    except OSError as error:
        raise MissingWeights(f"CLIP {source!r}: {next(iter(str(error).splitlines()), 'not found')}") from error
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise CorruptWeights(f"CLIP {source!r}: {next(iter(str(error).splitlines()), type(error).__name__)}") from error
    # transformers fills what a file lacks with random numbers and goes on
    if lacking := sorted(report["missing_keys"]):
        raise CorruptWeights(f"CLIP {source!r}: {len(lacking)} tensors missing, the first {lacking[0]}")
    return model.eval().requires_grad_(False), tokenizer
