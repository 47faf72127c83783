"""Train the network that finds a caption's words in an image (`tacit.training.grounding`).

    python scripts/train_grounding.py POOL SQUEEZENET OUT.safetensors --minutes 15

POOL is a pool of images with captions (`tacit.training.dataset.pool.build_pool`). SQUEEZENET is the weights file that
`tacit.pretrained.feature_distance.load_feature_distance` takes; nothing of it is in the result.
The network's graph, which steering runs, is written beside it as OUT.onnx.

No boxes are needed. The images and captions of a batch are all compared with each other, as if each image were a part
of a mosaic: the positions of an image must accept its own caption and reject the others; and as a whole, by its most
likely positions, each image must find its caption among the others (InfoNCE in both directions). Words are left out at
random, so that a phrase of one or two words works like a whole caption.

First a small head learns this on SqueezeNet's last features, which are computed once. Then the network learns to give
each position the head's vector, and continues with the images' own captions. --head and --start continue a run.

Every 37th captioned image is held out. The figures that are printed and stored in the file's card are measured on
those.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tacit.graphs.grounding import make_grounding_graph
from tacit.pretrained.feature_distance import FeatureDistance, load_feature_distance
from tacit.text.encoders import load_encoder
from tacit.text.tokens import TextTokens
from tacit.training.dataset.pool import ImagePool, open_pool
from tacit.training.grounding import STRIDE, Grounding

SIDE = 160  # pixels of a crop
BATCH = 48
HELD_OUT = 37  # every so many
SHARPNESS = 8.0  # of the maximum over positions


def main() -> None:
    """Train, measure and write the network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("squeezenet", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=15, help="of the network's own training")
    parser.add_argument("--head-steps", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--head", type=Path, help="the head's weights: taken if they are there, else kept there")
    parser.add_argument("--start", type=Path, help="weights of the network to go on from, which learnt from that head")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images = CaptionedCrops(open_pool(arguments.pool, in_memory=True), 0)
    teacher = load_feature_distance(arguments.squeezenet)
    network = Grounding()
    for module in (network, teacher):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = Head()
    if arguments.head and arguments.head.is_file():
        head.load_state_dict(load_file(arguments.head))
    else:
        teach(head, teacher, images, arguments.head_steps)
        if arguments.head:
            save_file(head.state_dict(), arguments.head)
    head.eval().requires_grad_(False)
    if arguments.start:
        network.load_state_dict(load_file(arguments.start), strict=False)
    steps = learn(network, head, teacher, images, arguments.minutes)
    card = {
        "steps": steps,
        "batch": BATCH,
        "images": len(images.captioned),
        **measure(network, network.positions, images),
        "head": measure(head, lambda x: head.compared(seen_by(teacher, x)), images),
    }
    print(json.dumps(card))
    tensors = {k: v.half().contiguous() for k, v in network.state_dict().items() if "num_batches" not in k}
    save_file(tensors, arguments.out, {"card": json.dumps(card)})
    write_graph(arguments.out)


def write_graph(network: Path) -> None:
    """Write the graph of a network's file beside it, as NAME.onnx; the hashes are those that `steering` names."""
    network_hash = hashlib.sha256(network.read_bytes()).hexdigest()
    graph = make_grounding_graph(load_arrays(network), network_hash)
    network.with_suffix(".onnx").write_bytes(graph)
    print(f"sha256 of the network {network_hash}, of its graph {hashlib.sha256(graph).hexdigest()}")


class Head(Grounding):
    """The same comparison on SqueezeNet's features."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.context = nn.Linear(512, 512)
        self.image_proj = nn.Sequential(nn.Conv2d(512, 384, 1), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(384, 192, 1))

    def compared(self, features: Tensor) -> Tensor:
        """Return unit vectors [B, C, h, w] of the features."""
        features = features + self.context(features.mean(dim=(2, 3)))[:, :, None, None]
        return F.normalize(self.image_proj(features), dim=1)


class CaptionedCrops:
    """Crops and captions of a pool, drawn at random."""

    def __init__(self, pool: ImagePool, seed: int) -> None:
        self.pool = pool
        self.rng = np.random.default_rng(seed)
        self.encoder = load_encoder("embedded")
        captioned = [i for i in range(len(pool)) if pool.captions[i]]
        self.held_out = captioned[::HELD_OUT]
        self.captioned = sorted(set(captioned) - set(self.held_out))
        # a person's sentence says more than "a photo of" a class
        worth = [1.5 if pool.captions[i][0].startswith("a photo of") else 6.0 for i in self.captioned]
        self.share = np.array(worth) / sum(worth)

    def draw(self, count: int) -> list[int]:
        """Draw the numbers of `count` captioned images."""
        return [int(i) for i in self.rng.choice(self.captioned, count, replace=False, p=self.share)]

    def crops(self, indices: list[int]) -> Tensor:
        """Return crops [B, 3, S, S] in [0, 1], channels last."""
        batch = torch.stack([self._crop(i) for i in indices]).float() / 255
        return batch.contiguous(memory_format=torch.channels_last)

    def _crop(self, index: int) -> Tensor:
        image = self.pool.image(index)
        height, width = image.shape[:2]
        side = int(min(height, width) * self.rng.uniform(0.6, 1))
        top, left = self.rng.integers(height - side + 1), self.rng.integers(width - side + 1)
        x = torch.from_numpy(np.ascontiguousarray(image[top : top + side, left : left + side])).permute(2, 0, 1)
        x = F.interpolate(x[None], (SIDE, SIDE), mode="bilinear", antialias=True)[0]
        return x.flip(2) if self.rng.random() < 0.5 else x

    def words(self, indices: list[int], *, dropping: bool = True) -> TextTokens:
        """Return a caption of each image, some words left out."""
        texts = []
        for index in indices:
            captions = self.pool.captions[index]
            text = captions[int(self.rng.integers(len(captions)))]
            texts.append(text.removeprefix("a photo of a ").removeprefix("a photo of an "))
        tokens = TextTokens.of(self.encoder(texts))
        if not dropping:
            return tokens
        kept = torch.from_numpy(self.rng.random(tokens.mask.shape) < self.rng.uniform(0.3, 1.3, (len(indices), 1)))
        mask = tokens.mask & kept
        mask = torch.where(mask.any(dim=1, keepdim=True), mask, tokens.mask)
        return TextTokens(tokens.embeddings, mask, tokens.weights)


def likeness(network: Grounding, positions: Tensor, tokens: TextTokens) -> tuple[Tensor, Tensor]:
    """Compare images with captions as wholes [images, captions] and by position [images, captions, n]."""
    vectors, salience = network.words(tokens)
    query = (vectors * salience[:, :, None]).sum(dim=1)
    each = torch.einsum("idn,jd->ijn", positions.flatten(2), query)
    return (each * SHARPNESS).logsumexp(2) / SHARPNESS - math.log(each.shape[2]) / SHARPNESS, each


def verdicts(network: Grounding, each: Tensor) -> Tensor:
    """Return the loss by which an image's positions accept its caption and reject the others."""
    own = torch.arange(len(each))
    logits = network.scale * each + network.shift
    yes, no = F.softplus(-logits[own, own]).mean(), F.softplus(logits).mean(2)
    return yes + (no.sum() - no[own, own].sum()) / (len(each) * (len(each) - 1))


def contrast(wholes: Tensor, sharpness: Tensor | float) -> Tensor:
    """Return the loss by which each image finds its caption, and each caption its image."""
    logits, own = wholes * sharpness, torch.arange(len(wholes))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def rate(done: float, steps: int, most: float) -> float:
    """Return the learning rate: a warm-up, then a cosine."""
    return most * min(1, (steps + 1) / 60) * (0.5 * (1 + math.cos(math.pi * done)) + 0.01)


def teach(head: Head, teacher: FeatureDistance, images: CaptionedCrops, steps: int) -> None:
    """Train the head on features of four crops of each image."""
    seen = [
        torch.cat([seen_by(teacher, images.crops(images.captioned[i : i + BATCH])).half() for i in range(0, n, BATCH)])
        for n in [len(images.captioned)] * 4
    ]
    place = {image: i for i, image in enumerate(images.captioned)}
    sharpness = nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.AdamW([*head.parameters(), sharpness], lr=1e-3, weight_decay=0.05)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step / steps, step, 1e-3)
        drawn = images.draw(2 * BATCH)
        features = seen[int(images.rng.integers(4))][[place[i] for i in drawn]].float()
        wholes, each = likeness(head, head.compared(features), images.words(drawn))
        loss = contrast(wholes, sharpness.exp().clamp(max=80)) + verdicts(head, each)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 50 == 0:
            print(f"head, step {step + 1}: loss {float(loss.detach()):.3f}", flush=True)


def learn(network: Grounding, head: Head, teacher: FeatureDistance, images: CaptionedCrops, minutes: float) -> int:
    """Train the network on the head's vectors at each position, and return the number of steps."""
    for part in ("text_proj", "salience"):
        getattr(network, part).load_state_dict(getattr(head, part).state_dict())
        getattr(network, part).requires_grad_(False)
    network.scale.data.copy_(head.scale)
    network.shift.data.copy_(head.shift)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.02)
    begun, steps = time.monotonic(), 0
    while (done := (time.monotonic() - begun) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate(done, steps, 2e-3)
        drawn = images.draw(BATCH)
        x = images.crops(drawn)
        with torch.no_grad():
            wanted = head.compared(seen_by(teacher, x))
        with torch.autocast("cpu", torch.bfloat16):
            features = network.features(2 * x - 1)
        positions = network.compared(features.float())
        likest = (positions * wanted).sum(dim=1).mean()
        _, each = likeness(network, positions, images.words(drawn))
        loss = 3 * (1 - likest) + verdicts(network, each) + 0.5 * contrast(each.mean(dim=2), 30.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        steps += 1
        if steps % 50 == 0:
            print(f"step {steps}, {time.monotonic() - begun:.0f} s: {float(likest.detach()):.3f} alike", flush=True)
    return steps


@torch.no_grad()
def seen_by(teacher: FeatureDistance, x: Tensor) -> Tensor:
    """Return the teacher's last features [B, 512, S/16, S/16], smoothed and squashed."""
    with torch.autocast("cpu", torch.bfloat16):
        *_, last = teacher.features(teacher.scaled(x).contiguous(memory_format=torch.channels_last))
    squashed = F.avg_pool2d(last.float().clamp_min(0).log1p(), 3, 1, 1)
    return F.interpolate(squashed, (SIDE // STRIDE, SIDE // STRIDE), mode="bilinear")


@torch.no_grad()
def measure(network: Grounding, see: Callable[[Tensor], Tensor], images: CaptionedCrops) -> dict[str, float]:
    """Measure the network on the images held out.

    `see` turns crops into unit vectors at their positions. `retrieval` is how often an image finds its caption as the
    first, or among five. `told_apart` is how often a position of the named image is likelier than one of another image,
    which is what steering a mosaic needs.
    """
    keep, images.rng = images.rng, np.random.default_rng(5)
    network.eval()
    x, tokens = images.crops(images.held_out), images.words(images.held_out, dropping=False)
    wholes, at_positions = likeness(network, see(x), tokens)
    images.rng = keep
    labels = torch.arange(len(x))
    rank = (wholes.argsort(1, descending=True) == labels[:, None]).float().argmax(1)
    own, other = at_positions[labels, labels], at_positions[labels.roll(1), labels]
    return {
        "held_out": len(x),
        "retrieval_1": round(float((rank == 0).float().mean()), 4),
        "retrieval_5": round(float((rank < 5).float().mean()), 4),
        "told_apart": round(float((own[:, :, None] > other[:, None, :]).float().mean()), 4),
    }


if __name__ == "__main__":
    main()
