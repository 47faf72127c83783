"""Train a small image encoder on `.tacit` shards, so that images come to lie near their captions.

    tacit bulk photos/ shards/ --to tar                            # once
    python examples/train_on_shards.py "shards/*.tar" --workers 2
    python examples/train_on_shards.py "shards/*.tar" --workers 8 --device cuda

Workers decode files to integers, and the device makes images of these; without a GPU the workers make the images, too.
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tacit.data import Collate, Synthesiser, TacitShards
from tacit.text.encoders import load_encoder

WIDTH = 256  # channels of the embeddings of images and captions: those of the text encoder


def main() -> None:
    """Train as the command line says, and print a line for each epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", nargs="+", help="patterns of shards")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the shards")
    parser.add_argument("--batch", type=int, default=32, help="images in a step")
    parser.add_argument("--crop", type=int, default=192, help="pixels a side of the crops")
    parser.add_argument("--workers", type=int, default=2, help="processes that read")
    parser.add_argument("--device", default="cpu", help="where the encoder is trained: cpu or cuda")
    options = parser.parse_args()
    for line in train(**vars(options)):
        print(line)


def train(shards: list[str], epochs: int, batch: int, crop: int, workers: int, device: str) -> list[str]:
    """Train an encoder.

    Returns:
        A line of text for each epoch.
    """
    torch.manual_seed(0)
    on_gpu = device != "cpu"
    data = TacitShards(*shards, seed=0)
    loader = DataLoader(
        data,
        batch,
        num_workers=workers,
        collate_fn=Collate(crop, on_error="skip", pixels=not on_gpu),
        pin_memory=on_gpu,
        persistent_workers=workers > 0,
    )
    synthesise = Synthesiser(device) if on_gpu else lambda images: images
    read_text = load_encoder("embedded")
    model = build_encoder().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    lines = []
    for epoch in range(epochs):
        data.set_epoch(epoch)
        begun, seen, skipped, losses = time.perf_counter(), 0, 0, []
        for images in map(synthesise, loader):
            skipped += len(images.skipped)
            if len(images) < 2:
                continue
            tokens = read_text(images.captions)
            words = torch.from_numpy((tokens.embeddings * tokens.mask[..., None]).mean(axis=1)).to(device)
            loss = contrast(model(images.images.float() / 255 - 0.5), words)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(images)
            losses.append(loss.item())
        speed = seen / (time.perf_counter() - begun)
        mean = sum(losses) / max(len(losses), 1)
        lines.append(f"epoch {epoch}: loss {mean:.3f}, {seen} images, {skipped} skipped, {speed:.0f} images/s")
    return lines


def build_encoder() -> nn.Module:
    """Build a network that embeds images [B, 3, H, W] as [B, WIDTH]."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(8, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, WIDTH))


def contrast(embeddings: Tensor, words: Tensor) -> Tensor:
    """Return the loss by which each image comes nearest to its own caption, and each caption to its image."""
    likeness = 10 * F.normalize(embeddings, dim=1) @ F.normalize(words, dim=1).T
    own = torch.arange(len(likeness), device=likeness.device)
    return (F.cross_entropy(likeness, own) + F.cross_entropy(likeness.T, own)) / 2


if __name__ == "__main__":
    main()
