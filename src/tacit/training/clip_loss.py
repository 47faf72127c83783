"""The joint image-text loss: the reconstruction should mean what its caption says, and what the image meant.

Source: TACO, ICML 2024, arXiv 2403.02944: a symmetric contrastive loss between CLIP's embeddings of reconstructions and
captions, plus beta times the norm of the difference of the image embeddings of reconstruction and image.
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
"""Collects a tensor [B, ...] of each process to [processes * B, ...], in their order; gradients pass through it."""


class ClipLoss:
    """The joint loss, by a CLIP that does not learn.

    Args:
        source: A folder, or a name whose files are in the Hugging Face cache.
        beta: Weight of the difference between the image embeddings, which are of length one.
        published: Take one norm over the differences of this process' whole batch, as the published code does, instead
            of the mean of the images' norms.

    Raises:
        MissingExtra: transformers is not installed.
        MissingWeights: CLIP's files are not on this machine; the message says how to get them.
        CorruptWeights: The files hold no CLIP model.
    """

    def __init__(self, source: str, beta: float = 40.0, *, published: bool = False) -> None:
        self.beta, self.published = beta, published
        self._clip = Clip(source)

    def to(self, device: torch.device) -> ClipLoss:
        """Move the network to `device`, and return the loss itself."""
        self._clip.to(device)
        return self

    def __call__(self, x_hat: Tensor, x: Tensor, captions: Sequence[str | None], gather: Gather) -> Tensor:
        """Return the loss of a batch.

        Args:
            x_hat: Reconstructions [B, 3, H, W] in [0, 1].
            x: Images [B, 3, H, W] in [0, 1].
            captions: The images' captions; an image without one has no part in the contrastive loss.
            gather: Collects embeddings over all processes.
        """
        embeddings = self.image(x_hat)
        with torch.no_grad():
            targets = self.image(x)
            words = self.text(captions)
        loss = contrastive_loss(gather(embeddings), gather(words), gather(_captioned(captions, x.device)))
        difference = embeddings - targets
        # A mean over images makes the processes' gradients average to those of the whole batch.
        norm: Tensor = difference.norm() if self.published else difference.norm(dim=1).mean()
        return loss + self.beta * norm

    def image(self, x: Tensor) -> Tensor:
        """Return embeddings [B, D] of length one for images x [B, 3, H, W] in [0, 1]."""
        size = (self._clip.side, self._clip.side)
        return self._clip.image(F.interpolate(x.float().clamp(0, 1), size, mode="bicubic", antialias=True))

    def text(self, captions: Sequence[str | None]) -> Tensor:
        """Return embeddings [B, D] of length one for captions, which are cut at CLIP's length."""
        return self._clip.text([c or "" for c in captions])


def contrastive_loss(images: Tensor, words: Tensor, captioned: Tensor) -> Tensor:
    """Return the symmetric contrastive loss of embeddings; it is 0 where there is no caption.

    Args:
        images: Embeddings of images [N, D], of length one.
        words: Embeddings of their captions [N, D], of length one.
        captioned: 1 for an image with a caption, else 0 [N].
    """
    hidden = torch.where(captioned[:, None] * captioned[None, :] > 0, 0.0, -1e4)
    logits = LOGIT_SCALE * images @ words.T + hidden
    target = torch.arange(len(images), device=images.device)
    both = F.cross_entropy(logits, target, reduction="none") + F.cross_entropy(logits.T, target, reduction="none")
    return (both * captioned).sum() / (2 * captioned.sum().clamp_min(1))


def _captioned(captions: Sequence[str | None], device: torch.device) -> Tensor:
    return torch.tensor([1.0 if c else 0.0 for c in captions], device=device)
