"""Measure what freezing costs in bytes: `python -m benchmarks.freezing CHECKPOINT WEIGHTS [FOLDER]`.

CHECKPOINT is a training checkpoint, or a file with a float model's state dict (`model`) and sizes (`config`), WEIGHTS
is the weights file made from it, and FOLDER holds the Kodak images (see benchmarks/kodak.py). All code the same y and
z, made by the checkpoint's float analysis without captions. Four code lengths are compared:

    ideal     -log2 of the probabilities that the float networks give to their own rounded symbols: normal
              distributions of continuous scale about unquantised means, and the float prior of z
    skipping  the same, but values of narrow scale are set to their means and cost nothing, as in the frozen model
    real      the bytes of the frozen networks' streams, without the container
    float64   the same of networks frozen here from the checkpoint to 16-bit weights, which float64 holds

The PSNR of what each of them decodes to is compared, too, through the same float synthesis. The results are written to
results/freezing.json.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.environment import describe_machine, find_data
from tacit import weights
from tacit.architectures import FIRST
from tacit.entropy.units import Y_UNIT
from tacit.evaluation.readable_json import dumps
from tacit.exact.arithmetic import DOUBLE
from tacit.exact.calibration import synthetic_images
from tacit.image import psnr
from tacit.models.building import build
from tacit.models.coding_order import EntropyNets, Step, walk
from tacit.models.frozen import FrozenEntropy
from tacit.models.quantization import gaussian_likelihood
from tacit.models.tacit_s import TacitSModel
from tacit.text.tokens import TextTokens
from tacit.training.checkpoint import read_checkpoint
from tacit.training.export import CROP_SIZE
from tacit.training.freezing import freeze_model

ROOT = Path(__file__).resolve().parent.parent
QUALITIES = (0, 5, 20, 40, 60, 80, 95, 100)


@dataclass(frozen=True)
class Coded:
    """Bytes of a code, and the latents that it decodes to, in quantisation steps [1, M, h, w]."""

    size: float
    latents: Tensor


def ideal(model: TacitSModel, y: Tensor, z: Tensor, quality: float, skip: int) -> Coded:
    """Return the code length by the float networks.

    Args:
        model: The float model.
        y: Latents after the gain, [1, M, h, w].
        z: Hyper-latents, [1, Z, hz, wz].
        quality: The quality, 0 to 100.
        skip: Scales of the tables below this index code nothing; 0 codes everything.
    """
    medians = model.prior.medians[:, None, None]
    z_hat = (z - medians).round() + medians
    bits = float(-model.prior.likelihood(z_hat).double().log2().sum())
    hyper = model.hyper_features(z_hat, torch.tensor([quality]))[:, :, : y.shape[2], : y.shape[3]]
    rows = y.flatten(2).transpose(1, 2)

    def visit(step: Step, parameters: Tensor) -> Tensor:
        nonlocal bits
        raw, mean = parameters.float().chunk(2, dim=-1)
        index = model.scale_index(raw)
        scale = (index * model.scale_step() + math.log(model.config.scale_min)).exp()
        units = model.context_scale[step.start : step.stop]
        mean = mean / units
        symbols = (rows[:, step.positions, step.start : step.stop] - mean).round()
        coded = index.round() >= skip
        symbols = symbols * coded
        mass = gaussian_likelihood(symbols.double(), scale.double())
        bits -= float(mass.log2()[coded].sum())
        return (symbols + mean) * units

    latents = walk(cast(EntropyNets, model.entropy), hyper, visit) / model.context_scale[:, None, None]
    return Coded(bits / 8, latents)


@dataclass(frozen=True)
class Analysed:
    """An image [1, 3, H, W] uint8, and its latents before the gain [1, M, h, w]."""

    pixels: Tensor
    y: Tensor


@torch.inference_mode()
def analyse(model: TacitSModel, path: Path) -> Analysed:
    """Analyse an image without a caption."""
    pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]
    return Analysed(pixels, model.analysis(pixels.float() / 255, TextTokens.empty(1, model.config.text_width)).float())


@torch.inference_mode()
def measure(
    model: TacitSModel, frozen: FrozenEntropy, double: FrozenEntropy, images: list[Analysed], quality: float
) -> dict[str, float]:
    """Return sums of bytes and the mean PSNR over the images.

    Args:
        model: The float model.
        frozen: The frozen networks of the weights file.
        double: Those that float64 holds.
        images: The images.
        quality: 0 to 100.
    """
    chosen = torch.tensor([float(quality)])
    gain, inverse = model.gain(chosen), model.inverse_gain(chosen)
    sizes = {"ideal": 0.0, "skipping": 0.0, "real": 0.0, "float64": 0.0}
    decibels = dict.fromkeys(sizes, 0.0)
    for image in images:
        y = image.y * gain
        z = model.hyper_latents(y).float()
        streams, integers = frozen.compress(y, z, round(quality * 100))
        other_streams, other_integers = double.compress(y, z, round(quality * 100))
        coded = {
            "ideal": ideal(model, y, z, quality, 0),
            "skipping": ideal(model, y, z, quality, frozen.skip),
            "real": Coded(len(streams[0].data), integers.float() / Y_UNIT),
            "float64": Coded(len(other_streams[0].data), other_integers.float() / Y_UNIT),
        }
        for name, one in coded.items():
            x = model.synthesis(one.latents * inverse, chosen).clamp(0, 1).mul(255).round()
            sizes[name] += one.size
            decibels[name] += psnr.decibels(float((x - image.pixels).square().mean()))
    return {
        "quality": quality,
        "bpp": round(8 * sizes["real"] / (len(images) * 768 * 512), 4),
        **{f"{name}_bytes": round(size) for name, size in sizes.items()},
        "cost_percent": round(100 * (sizes["real"] / sizes["ideal"] - 1), 3),
        "cost_of_integers_percent": round(100 * (sizes["real"] / sizes["skipping"] - 1), 3),
        "cost_of_float32_percent": round(100 * (sizes["real"] / sizes["float64"] - 1), 3),
        **{f"{name}_psnr": round(total / len(images), 4) for name, total in decibels.items()},
    }


def read_model(path: Path) -> tuple[TacitSModel, int]:
    """Return a float model and the steps behind it, from a training checkpoint or a file with `model` and `config`."""
    state: Any = torch.load(path, weights_only=True, map_location="cpu")
    if "tacit" in state or "ema" in state:
        checkpoint = read_checkpoint(path)
        model, steps = checkpoint.averaged_model(), checkpoint.steps
    else:
        model, steps = build(FIRST.name, state["config"]), int(state.get("steps", 0))
        model.load_state_dict(state["model"])
    if not isinstance(model, TacitSModel):
        raise SystemExit(f"{path}: the architecture must be {FIRST.name}")
    return model.eval(), steps


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--images", type=int, default=24, help="fewer, for a quick look; results are not written then")
    arguments = parser.parse_args()
    model, steps = read_model(arguments.checkpoint)
    coding = weights.load(arguments.weights)
    coded_gain = coding.float_model.gain
    if coded_gain is None or not torch.equal(coded_gain.log_gain, model.gain.log_gain):
        raise SystemExit(f"{arguments.weights} was not exported from {arguments.checkpoint}: their gains differ")
    paths = sorted((arguments.folder or find_data("kodak")).glob("kodim*.png"))[: arguments.images]
    # Ranges as wide as float64 allows need no photographs.
    double = freeze_model(model, synthetic_images(CROP_SIZE).mul(255).byte(), DOUBLE)
    images = [analyse(model, path) for path in paths]
    rows = []
    for quality in QUALITIES:
        rows.append(measure(model, coding.entropy, double, images, quality))
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "command": "python -m benchmarks.freezing CHECKPOINT WEIGHTS KODAK",
        "images": len(paths),
        "steps": steps,
        "weights_hash": weights.describe(arguments.weights).decode_hash.hex(),
        **describe_machine(),
        "rows": rows,
    }
    if len(paths) == 24:
        (ROOT / "results" / "freezing.json").write_text(dumps(result))


if __name__ == "__main__":
    main()
