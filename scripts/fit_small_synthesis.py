"""Fit the small synthesis of a model, by which thumbnails are decoded (docs/thumbnails.md).

    python scripts/fit_small_synthesis.py FOLDER --model tacit-s --prefix coco_ --prefix flickr8k_ --card CARD.json

Images of the folder are encoded, each at two qualities, and decoded. The network learns to make, of the first groups of
latents, what the decoded image is when it is shrunk: first in closed form, as the best linear map of 3x3 positions
through as many channels as the network has, then by gradient steps. The model is not changed. The file is written to
the folder `small` beside the weights, which need not be those of the package. It takes minutes on one core.

CARD.json is an object whose texts `data` and `terms` say what the images are, and on what terms they may be used.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from tacit import weights
from tacit.codec import Codec
from tacit.entropy.units import LATENT_STEP, Y_UNIT
from tacit.errors import TacitError
from tacit.models.small_synthesis import SmallSynthesis, SmallSynthesisConfig
from tacit.weights.metadata import read_metadata
from tacit.weights.small import save_small, small_path

WIDTH, HEIGHT = 448, 320  # pixels of a crop, at most
SPANS = ((0.0, 40.0), (40.0, 100.0))  # of the qualities, one for each of the encodings of an image
WEIGHT = {2: 1.0, 4: 2.0, 8: 4.0}  # of an error, by the factor: there are fewer pixels, and the larger ones show more
RATE = 1.5e-3
SETTLED = 1e-5  # added to the covariance's diagonal, as a part of its mean
LIMIT = 300_000  # bytes of a file in the package


@dataclass(frozen=True)
class Example:
    """A decoded crop."""

    y: Tensor
    """The first channels of the latents in steps [1, c, h, w]."""

    quality: Tensor
    """[1]."""

    reduced: dict[int, Tensor]
    """The decoded crop, shrunk by each factor, [1, 3, 16 h / f, 16 w / f] in [0, 1]."""


def main() -> None:
    """Make the examples, fit the network and write its file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of images")
    parser.add_argument("--model", default=weights.DEFAULT, help="a model's name or a weights file")
    parser.add_argument("--prefix", action="append", help="take the images whose names begin like this")
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--minutes", type=float, default=4, help="of processor time for the gradient steps")
    parser.add_argument("--card", type=Path, required=True, help="what the images are, and their terms")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        path = weights.locate(arguments.model)
        about = read_metadata(path)
        described = json.loads(arguments.card.read_text())
        config = sized(about["config"]["groups"], about["config"]["knots"])
        names = sorted(entry.name for entry in os.scandir(arguments.folder) if entry.is_file())
        names = [name for name in names if name.startswith(tuple(arguments.prefix or [""]))]
        random.Random(0).shuffle(names)
        chosen = [arguments.folder / name for name in names[: arguments.images]]
        codec = Codec(path, threads=1)
        examples = [one for image in chosen for one in made(codec, image, config)]
    except TacitError as error:
        raise SystemExit(str(error)) from error
    net = SmallSynthesis(config)
    with safe_open(path, "np") as tensors:
        gain = torch.from_numpy(tensors.get_tensor("inverse_gain.log_gain"))
    net.inverse_gain.log_gain.data.copy_(gain[:, : config.channels])
    net.inverse_gain.requires_grad_(False)
    fit_linear(net, examples)
    linear = error_of(net, examples)
    steps = train(net, examples, arguments.minutes * 60)
    card = {
        **described,
        "images": len(chosen),
        "examples": len(examples),
        "recipe": "linear in closed form, then Adam on the squared errors of the images that the model decodes, shrunk",
        "steps": steps,
        "psnr_linear": linear,
        "psnr": error_of(net, examples),
        "command": f"python scripts/fit_small_synthesis.py FOLDER --model {path.stem} --images {arguments.images} "
        f"--minutes {arguments.minutes:g}",
    }
    out = small_path(path, about["decode_hash"])
    out.parent.mkdir(exist_ok=True)
    save_small(out, config.as_dict(), stored(net), about["decode_hash"], card)
    size = out.stat().st_size
    print(f"{out}: {size:,} bytes, {card['psnr']} dB on what it was fitted to")
    if size > LIMIT:
        raise SystemExit(f"{out}: {size:,} bytes; a file in the package has at most {LIMIT:,}")


def sized(groups: Sequence[int], knots: int) -> SmallSynthesisConfig:
    """Return the sizes for a model: the first three groups, or all but the last where there are fewer."""
    count = min(3, max(1, len(groups) - 1))
    return SmallSynthesisConfig(groups=count, channels=sum(groups[:count]), knots=knots)


def made(codec: Codec, path: Path, config: SmallSynthesisConfig) -> Iterable[Example]:
    """Yield a crop of an image, encoded at a quality of each span."""
    chance = random.Random(path.name)
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    step = LATENT_STEP * 2
    width, height = min(image.width // step * step, WIDTH), min(image.height // step * step, HEIGHT)
    if not width or not height:
        return
    left, top = chance.randrange(image.width - width + 1), chance.randrange(image.height - height + 1)
    prepared = codec.prepare(image.crop((left, top, left + width, top + height)))
    for span in SPANS:
        quality = chance.uniform(*span)
        data = prepared.encode(quality).data
        y = torch.from_numpy(codec.latents(data)[: config.channels].astype(np.float32) / Y_UNIT)
        decoded = codec.decode(data)
        reduced = {f: _planes(decoded.resize((width // f, height // f), Image.Resampling.BICUBIC)) for f in WEIGHT}
        yield Example(y[None], torch.tensor([quality], dtype=torch.float32), reduced)


def _planes(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def fit_linear(net: SmallSynthesis, examples: Sequence[Example]) -> None:
    """Set the convolution and the heads to the best linear map through the channels between them.

    It is a regression of reduced rank: the least squares' solution, projected on the directions that explain most of
    what it predicts.
    """
    factors = net.config.factors
    covariance, products = torch.zeros(0), torch.zeros(0)
    for example in examples:
        x = F.unfold(net.features(example.y, example.quality), 3)[0].T
        x = torch.cat([x, torch.ones(len(x), 1)], dim=1).double()
        parts = [F.pixel_unshuffle(2 * example.reduced[f] - 1, LATENT_STEP // f)[0].flatten(1) for f in factors]
        wanted = torch.cat([part * WEIGHT[f] for part, f in zip(parts, factors, strict=True)]).T.double()
        covariance = x.T @ x + (covariance if len(covariance) else 0)
        products = x.T @ wanted + (products if len(products) else 0)
    covariance += SETTLED * covariance.trace() / len(covariance) * torch.eye(len(covariance))
    solution = torch.linalg.solve(covariance, products)  # [9 c + 1, outputs]
    triangle = torch.linalg.cholesky(covariance[:-1, :-1])
    u, values, v = torch.linalg.svd(triangle.T @ solution[:-1], full_matrices=False)
    rank = min(net.config.width, len(values))
    scale = math.sqrt(float(covariance[-1, -1]))  # that the channels between have a variance of about 1
    gather = torch.linalg.solve_triangular(triangle.T, u[:, :rank] * scale, upper=True)
    spread = values[:rank, None] / scale * v[:rank]
    net.gather.weight.zero_()
    net.gather.weight[:rank] = gather.T.reshape(rank, -1, 3, 3).float()
    net.gather.bias.zero_()  # type: ignore[union-attr]
    start = 0
    for factor in factors:
        head = net.heads[str(factor)]
        assert isinstance(head, torch.nn.Conv2d)
        assert head.bias is not None
        stop = start + head.out_channels
        head.weight.zero_()
        head.weight[:, :rank, 0, 0] = (spread[:, start:stop] / WEIGHT[factor]).T.float()
        head.bias.copy_(solution[-1, start:stop] / WEIGHT[factor])
        start = stop


def train(net: SmallSynthesis, examples: Sequence[Example], seconds: float) -> int:
    """Take gradient steps for so many seconds of processor time, and return how many they were."""
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=RATE)
    chance = random.Random(0)
    start, steps = time.process_time(), 0
    while (done := (time.process_time() - start) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        example = chance.choice(examples)
        results = net(example.y, example.quality)
        loss = sum(WEIGHT[f] * F.mse_loss(result, example.reduced[f]) for f, result in results.items())
        assert isinstance(loss, Tensor)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
        if steps % 1000 == 0:
            print(f"{100 * done:.0f} %, {steps} steps, {error_of(net, examples[:40])} dB", flush=True)
    return steps


@torch.no_grad()
def error_of(net: SmallSynthesis, examples: Sequence[Example]) -> dict[str, float]:
    """Return the mean PSNR of the reduced images against the decoded ones shrunk, by the factor, in dB."""
    found: dict[str, list[float]] = {}
    for example in examples:
        for factor, result in net(example.y, example.quality).items():
            error = float(F.mse_loss(result.clamp(0, 1), example.reduced[factor]))
            found.setdefault(str(factor), []).append(-10 * math.log10(max(error, 1e-10)))
    return {factor: round(float(np.mean(values)), 2) for factor, values in found.items()}


def stored(net: SmallSynthesis) -> dict[str, np.ndarray]:
    """Return the tensors as the file has them: in half precision, gains in single."""
    return {
        name: value.detach().numpy().astype(np.float32 if "gain" in name else np.float16)
        for name, value in net.state_dict().items()
    }


if __name__ == "__main__":
    main()
