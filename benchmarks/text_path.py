"""Measure why captions change so little inside the network: `python -m benchmarks.text_path [WEIGHTS] [--images N]`.

WEIGHTS is a name or a weights file of the architecture tacit-s, by default the package's default. The images are
Kodak's (the folder `kodak` of $TACIT_DATA), their captions those of data/captions. Steering is off. Measured are

    gates      what the Injectors add to the image's features, and how far captions move the latents
    gradients  of the loss that the default model ended its training with: of the parameters that captions pass through,
               of the others, and how much of it changes when the captions are swapped
    loss       bits of rounded latents plus weighted error, by the float model, without a caption, with each image's
               own, and with another image's
    words      how many bits a caption holds, word by word, at the words' frequencies in the package's table

The results are written to results/study/text.json.
"""

from __future__ import annotations

import argparse
import datetime
import math
import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from benchmarks.environment import describe_machine, find_data
from tacit import weights
from tacit.captions import CaptionMap
from tacit.evaluation.confidence import confidence_interval
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.readable_json import dumps
from tacit.image.psnr import decibels
from tacit.models.distortion import rate_weight
from tacit.models.tacit_s import TacitSModel
from tacit.study.image_sets import rotated_captions
from tacit.study.summary import rounded
from tacit.text.encoders import EmbeddedEncoder
from tacit.text.tokens import TextTokens
from tacit.training import config as configurations
from tacit.training.loss import Loss
from tacit.training.thawing import thaw
from tacit.words.table import WordTable, read_table

ROOT = Path(__file__).resolve().parent.parent
CAPTIONS = ROOT / "data" / "captions"
QUALITIES = (10.0, 50.0, 90.0)
LOSS = configurations.read("tacit-s-tuned").loss
SIDE, CROP, BATCH = 384, 256, 4  # pixels of a picture's middle that is coded, and that is learnt from; crops at a time
NONE, SHORT, DETAILED, OTHER = "no caption", "short caption", "detailed caption", "another's short caption"
PARTS = {  # of the parameters, by how their names begin; the first that fits
    "gates": r"analysis\.inject\d+\.gamma",
    "text layers": r"analysis\.(inject|extract|null_token)",
    "other analysis": r"analysis\.",
    "synthesis": r"synthesis\.|inverse_gain",
    "entropy model and gains": "",
}


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default=weights.DEFAULT)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "study" / "text.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = weights.locate(arguments.weights)
    model = thaw(path)
    if not isinstance(model, TacitSModel):
        raise SystemExit(f"{path}: not of the architecture of tacit-s")
    model.eval()
    photos = sorted(find_data("kodak").glob("kodim*.png"))[: arguments.images]
    told = conditions(photos)
    with torch.no_grad():
        inside, losses = gates(model, photos, told), loss_by_caption(model, photos, told)
    result = {
        "command": f"python -m benchmarks.text_path{'' if arguments.weights == weights.DEFAULT else f' {path.name}'}",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        **describe_machine(),
        "weights": {"name": path.stem, "hash": weights.describe(path).decode_hash.hex()},
        "images": len(photos),
        "gates": inside,
        "gradients": gradients(model, photos, told),
        "loss": losses,
        "words": words(told, losses),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(dumps(rounded(result)))
    print(arguments.out)


def conditions(photos: Sequence[Path]) -> dict[str, list[str | None]]:
    """Return the caption of each image under each condition."""
    found: dict[str, list[str | None]] = {NONE: [None] * len(photos)}
    for name, file in ((SHORT, "kodak-short.jsonl"), (DETAILED, "kodak-detailed.jsonl")):
        texts = CaptionMap.load(CAPTIONS / file)
        found[name] = [texts.find(photo) for photo in photos]
    own = {str(i): text or "" for i, text in enumerate(found[SHORT])}
    found[OTHER] = list(rotated_captions(own, len(photos) // 2).values())
    return found


def middle(photo: Path, side: int) -> Tensor:
    """Return the middle of an image as [1, 3, side, side] in [0, 1]."""
    pixels = torch.from_numpy(load_pixels(photo).copy()).permute(2, 0, 1)[None].float() / 255
    top, left = ((size - side) // 2 for size in pixels.shape[2:])
    return pixels[:, :, top : top + side, left : left + side].contiguous(memory_format=torch.channels_last)


ENCODER = EmbeddedEncoder()


def rms(x: Tensor) -> float:
    """Return the root of the mean square."""
    return float(x.double().square().mean().sqrt())


# -- what is added ----------------------------------------------------------------------------------------------------


def gates(model: TacitSModel, photos: Sequence[Path], told: dict[str, list[str | None]]) -> dict[str, Any]:
    """Measure the gates, what they add to the features, and how far a caption moves the latents.

    What is added is a ratio of root mean squares. The latents' change is in quantisation steps, with the share of
    latents that round to another integer.
    """
    added: dict[str, list[float]] = {"inject8": [], "inject16": []}
    handles = [
        getattr(model.analysis, name).register_forward_hook(
            lambda _, inputs, output, kept=kept: kept.append(rms(output - inputs[0]) / rms(inputs[0]))
        )
        for name, kept in added.items()
    ]
    moved: dict[str, dict[str, list[float]]] = {name: {"steps": [], "other_integers": []} for name in (SHORT, OTHER)}
    gain = model.gain(torch.tensor([50.0]))
    for i, photo in enumerate(photos):
        x = middle(photo, SIDE)
        y = {name: model.analysis(x, TextTokens.of(ENCODER([told[name][i]]))) * gain for name in (NONE, SHORT, OTHER)}
        for name, anchor in ((SHORT, NONE), (OTHER, SHORT)):
            moved[name]["steps"].append(rms(y[name] - y[anchor]))
            moved[name]["other_integers"].append(float((y[name].round() != y[anchor].round()).double().mean()))
    for handle in handles:
        handle.remove()
    return {
        "gamma": {name: rms(getattr(model.analysis, name).gamma) for name in added},
        "added": {name: fmean(values) for name, values in added.items()},
        "latents": {
            "own_instead_of_none": {key: fmean(values) for key, values in moved[SHORT].items()},
            "another_instead_of_own": {key: fmean(values) for key, values in moved[OTHER].items()},
        },
    }


# -- gradients --------------------------------------------------------------------------------------------------------


def gradients(model: TacitSModel, photos: Sequence[Path], told: dict[str, list[str | None]]) -> dict[str, Any]:
    """Measure gradients of the training loss over batches, for each part of the model.

    The result has, for each part, `each`: the root mean square over parameters; `swapped`: the norm of the change when
    captions are swapped, relative to the whole; `agreement`: the mean cosine of two batches' gradients; and
    `agreement_swapped`: the same of what the swap changes, which is all that captions can teach.
    """
    kinds: dict[str, dict[str, list[Tensor]]] = {part: {SHORT: [], OTHER: []} for part in PARTS}
    for start in range(0, len(photos) - BATCH + 1, BATCH):
        chosen = range(start, start + BATCH)
        x = torch.cat([middle(photos[i], CROP) for i in chosen])
        for name in (SHORT, OTHER):
            for part, values in _gradient(
                model, x, TextTokens.of(ENCODER([told[name][i] for i in chosen])), start
            ).items():
                kinds[part][name].append(values)
    found = {}
    for part, of in kinds.items():
        changes = [b - a for a, b in zip(of[SHORT], of[OTHER], strict=True)]
        found[part] = {
            "parameters": of[SHORT][0].numel(),
            "each": fmean(map(rms, of[SHORT])),
            "swapped": fmean(rms(c) / rms(g) for c, g in zip(changes, of[SHORT], strict=True)),
            "agreement": _agreement(of[SHORT]),
            "agreement_swapped": _agreement(changes),
        }
    return {"batches": len(next(iter(kinds.values()))[SHORT]), "parts": found}


def _gradient(model: TacitSModel, x: Tensor, tokens: TextTokens, seed: int) -> dict[str, Tensor]:
    quality = torch.linspace(QUALITIES[0], QUALITIES[-1], len(x))
    out = model(x, tokens, quality, torch.arange(len(x)) + seed)
    model.zero_grad()
    Loss(LOSS)(out, x, quality, [None] * len(x), lambda t: t).loss.backward()
    found: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            part = next(part for part, begins in PARTS.items() if re.match(begins, name))
            found[part].append(parameter.grad.flatten().clone())
    model.zero_grad()
    return {part: torch.cat(of) for part, of in found.items()}


def _agreement(several: Sequence[Tensor]) -> float | None:
    pairs = [float(torch.cosine_similarity(a, b, dim=0)) for a, b in combinations(several, 2)]
    return fmean(pairs) if pairs else None


# -- the loss ---------------------------------------------------------------------------------------------------------


def loss_by_caption(model: TacitSModel, photos: Sequence[Path], told: dict[str, list[str | None]]) -> dict[str, Any]:
    """Measure the loss under each condition at each quality.

    The result has the bits and the PSNR without a caption, and for each condition the paired differences from that: in
    percent of the loss and in bits, with the 95 % interval over images.
    """
    found = {}
    for quality in QUALITIES:
        of = {
            name: [_coded(model, middle(p, SIDE), told[name][i], quality) for i, p in enumerate(photos)]
            for name in told
        }
        anchors = of[NONE]
        found[f"{quality:g}"] = {
            "bits": fmean(bits for _, bits, _ in anchors),
            "psnr": fmean(psnr for *_, psnr in anchors),
            "against_no_caption": {
                name: {
                    "loss_percent": _interval([100 * (a[0] / b[0] - 1) for a, b in zip(own, anchors, strict=True)]),
                    "bits": _interval([a[1] - b[1] for a, b in zip(own, anchors, strict=True)]),
                }
                for name, own in of.items()
                if name != NONE
            },
            "own_against_another": {
                "loss_percent": _interval([100 * (a[0] / b[0] - 1) for a, b in zip(of[SHORT], of[OTHER], strict=True)]),
                "bits": _interval([a[1] - b[1] for a, b in zip(of[SHORT], of[OTHER], strict=True)]),
            },
        }
    return {"side": SIDE, "qualities": found}


def _coded(model: TacitSModel, x: Tensor, caption: str | None, quality: float) -> tuple[float, float, float]:
    """Return the loss, the bits, and the PSNR in dB."""
    q = torch.tensor([quality])
    out = model(x, TextTokens.of(ENCODER([caption])), q, rounded=1.0)
    bits, error = float(out.y_bits + out.z_bits), float((out.x_hat.clamp(0, 1) - x).square().mean())
    pixels = x.shape[2] * x.shape[3]
    return bits / pixels + float(rate_weight(q)) * 255**2 * error, bits, decibels(error, peak=1)


def _interval(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": fmean(values), "interval": confidence_interval(values) if len(values) > 4 else None}


# -- words ------------------------------------------------------------------------------------------------------------


def words(told: dict[str, list[str | None]], losses: dict[str, Any]) -> dict[str, Any]:
    """Return words and bits of each kind of caption, and the bits in percent of the images' bits, by quality."""
    table = read_table()
    found = {}
    for name in (SHORT, DETAILED):
        each = [list(_words(text or "")) for text in told[name]]
        bits = fmean(sum(_bits(table, several)) for several in each)
        found[name] = {
            "words": fmean(map(len, each)),
            "bits": bits,
            "percent_of_bits": {q: 100 * bits / of["bits"] for q, of in losses["qualities"].items()},
        }
    return found


def _words(text: str) -> Iterator[str]:
    return (match[0].lower() for match in re.finditer(r"\w+", text))


def _bits(table: WordTable, several: Sequence[str]) -> Iterator[float]:
    """Return the bits of each word, by the share of captions that have it among all words of all captions."""
    having = {w: (1 + table.captions) * math.exp(1 - e.idf) for w, e in table.entries.items() if " " not in w}
    total = sum(having.values())
    return (-math.log2(having.get(word, 1.0) / total) for word in several)


if __name__ == "__main__":
    main()
