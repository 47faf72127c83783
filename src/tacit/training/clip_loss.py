"""The joint image-text loss: the reconstruction shall mean what its caption says, and what the photo meant.

Source: TACO, ICML 2024, arXiv 2403.02944: a symmetric contrastive loss between CLIP's embeddings of reconstructions and
captions, plus beta times the norm of the difference of the image embeddings of reconstruction and photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tacit.pretrained.clip import Clip

LOGIT_SCALE = math.exp(2.6592)  # 1 / 0.07

Gather = Callable[[Tensor], Tensor]
"""[B, ...] of this process -> [processes * B, ...] of all, in their order, through which gradients pass."""


class ClipLoss:
    """CLIP looks at reconstructions. Its own weights do not learn.

    source: a folder, or a name whose files are in the Hugging Face cache; beta: of the difference between the image
    embeddings, which are of length one; published: one norm over the differences of this process' whole batch, as the
    published code took it, instead of the images' mean.

    Raises:
        MissingExtra: transformers is not installed.
        MissingWeights: CLIP's files are not on this machine; the message says how to get them.
        CorruptWeights: the files hold no CLIP model.
    """

    def __init__(self, source: str, beta: float = 40.0, *, published: bool = False) -> None:
        self.beta, self.published = beta, published
        self._clip = Clip(source)

    def to(self, device: torch.device) -> ClipLoss:
        """This, with its network on `device`."""
        self._clip.to(device)
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
        size = (self._clip.side, self._clip.side)
        return self._clip.image(F.interpolate(x.float().clamp(0, 1), size, mode="bicubic", antialias=True))

    def text(self, captions: Sequence[str | None]) -> Tensor:
        """Embeddings [B, D] of length one; longer captions are cut at CLIP's length."""
        return self._clip.text([c or "" for c in captions])


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
