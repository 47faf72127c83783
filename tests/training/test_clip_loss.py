"""The joint image-text loss."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from support.training import (
    gather_alone,
)
from tacit.errors import CorruptWeights, MissingWeights
from tacit.training.clip_loss import ClipLoss, contrastive_loss


def test_the_contrastive_loss_by_hand() -> None:
    images = torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    words = torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    logits = (math.exp(2.6592) * images @ words.T).double().numpy()
    by_image = -np.diag(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    by_words = -np.diag(logits - np.log(np.exp(logits).sum(0, keepdims=True)))
    found = contrastive_loss(images, words, torch.ones(4))
    assert float(found) == pytest.approx((by_image.mean() + by_words.mean()) / 2, rel=1e-5)
    some = torch.tensor([1.0, 0, 1, 1])
    kept = [0, 2, 3]
    assert float(contrastive_loss(images, words, some)) == pytest.approx(
        float(contrastive_loss(images[kept], words[kept], torch.ones(3))), rel=1e-5
    )
    assert float(contrastive_loss(images, words, torch.zeros(4))) == 0


def test_the_joint_loss(whole_clip_folder: Path) -> None:
    joint = ClipLoss(str(whole_clip_folder), beta=40.0)
    x = torch.rand(3, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    captions = ["a boat", "a road", None]
    x_hat = (x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    loss = joint(x_hat, x, captions, gather_alone)
    loss.backward()
    assert x_hat.grad is not None
    assert x_hat.grad.abs().sum() > 0
    found, wanted, words = joint.image(x_hat), joint.image(x), joint.text(captions)
    assert torch.allclose(found.norm(dim=1), torch.ones(3))
    assert not torch.allclose(words[0], words[1], atol=1e-3)
    difference = found - wanted
    text = contrastive_loss(found, words, torch.tensor([1.0, 1, 0]))
    assert loss.item() == pytest.approx(float((text + 40 * difference.norm(dim=1).mean()).detach()), rel=1e-5)
    published = ClipLoss(str(whole_clip_folder), beta=40.0, published=True)(x_hat, x, captions, gather_alone)
    assert float(published.detach()) == pytest.approx(float((text + 40 * difference.norm()).detach()), rel=1e-5)
    assert float(joint(x, x, [None] * 3, gather_alone)) == pytest.approx(0, abs=1e-4)


def test_clip_that_is_not_there(tmp_path: Path, whole_clip_folder: Path) -> None:
    with pytest.raises(MissingWeights):
        ClipLoss(str(tmp_path / "none"))
    for path in whole_clip_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(CorruptWeights):
        ClipLoss(str(tmp_path))
