"""The speed of a training step on a GPU, and that the captured step is the eager one.

    python -m benchmarks.training                 # 64 crops of 256x256, tacit-s
    python -m benchmarks.training --device cpu --tiny --seconds 2

It needs no data: crops are cut from noise with structure. Printed are the losses of the same samples with and without
the graph, and megapixels a second.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from tacit.models.building import build
from tacit.models.float_model import FloatModel
from tacit.training import config as configurations
from tacit.training.captured import CapturedModule
from tacit.training.config import Config
from tacit.training.dataset.device_samples import DeviceSamples
from tacit.training.dataset.pool import ImagePool
from tacit.training.dataset.token_cache import TokenCache
from tacit.training.loss import build_loss
from tacit.training.starting_weights import load_float_model

TINY = {
    "latent": 32,
    "groups": [8, 24],
    "hyper": 16,
    "hyper_width": 16,
    "features": 32,
    "context": 16,
    "hidden": [32, 32],
    "analysis8": 1,
    "analysis16": 1,
    "synthesis8": 1,
    "synthesis16": 1,
}
"""Sizes of a model that a CPU trains in seconds."""

CHECKED = 5  # steps whose losses are compared


def noise_pool(count: int, side: int) -> ImagePool:
    """Return images of smooth noise, without captions."""
    rng = np.random.default_rng(0)

    def image() -> np.ndarray:
        coarse = rng.integers(0, 200, (side // 16, side // 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        return coarse + rng.integers(0, 56, (side, side, 3), dtype=np.uint8)

    return ImagePool.of((image(), ()) for _ in range(count))


def prepared_module(model: FloatModel, config: Config, device: torch.device, pool: ImagePool) -> CapturedModule:
    """Return a module that is ready to make steps."""
    module = CapturedModule(config, model.to(device).train().requires_grad_(True), build_loss(config.loss))
    if config.run.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.to(device)
    tokens = TokenCache(model.config.text_encoder, model.config.text_width)
    module.loss.to(device)
    module.begin(module.configure_optimizers(), DeviceSamples(pool, config.data, tokens, device))
    return module


def main() -> None:
    """Measure, and print and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the speed is measured")
    parser.add_argument("--tiny", action="store_true", help="a tiny model")
    parser.add_argument("--from", dest="start", help="weights to begin with")
    parser.add_argument("--out", type=Path, help="JSON file of the results")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    cuda = device.type == "cuda"
    pool = noise_pool(16 if arguments.tiny else 64, 4 * arguments.crop)
    sizes = TINY if arguments.tiny else {"analysis8": 6, "analysis16": 6, "synthesis16": 4, "synthesis8": 6}
    losses: dict[str, list[float]] = {}
    result: dict[str, object] = {
        "command": f"python -m benchmarks.training --seconds {arguments.seconds:g}",
        "on": torch.cuda.get_device_name() if cuda else "cpu",
        "batch": arguments.batch,
        "crop": arguments.crop,
        "torch": torch.__version__,
    }
    for step in ("device", "captured") if cuda else ("device",):
        config = configurations.read(
            "tacit-s-tuned",
            [f"data.batch={arguments.batch}", f"data.crop={arguments.crop}", "data.kind=samples", f"run.step={step}"],
        )
        torch.manual_seed(0)
        model = load_float_model(arguments.start) if arguments.start else build("tacit-s", sizes)
        begun = time.perf_counter()
        module = prepared_module(model, config, device, pool)
        for group in module.optimizer.param_groups:
            group["lr"].fill_(1e-4)
        print(f"{step}: ready in {time.perf_counter() - begun:.1f} s", flush=True)
        torch.manual_seed(1)
        losses[step] = []
        for _ in range(CHECKED):
            losses[step].append(float(module.make_step()["loss"]))
        print(f"{step}: losses {losses[step]}", flush=True)
        steps, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < arguments.seconds:
            module.make_step()
            steps += 1
            if cuda and steps % 4 == 0:
                torch.cuda.synchronize()
        if cuda:
            torch.cuda.synchronize()
        took = time.perf_counter() - begun
        speed = steps * arguments.batch * arguments.crop**2 / took / 1e6
        result[step] = {"megapixels_per_second": round(speed, 1), "steps": steps, "losses": losses[step]}
        memory = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if cuda else ""
        print(f"{step}: {speed:.1f} Mpx/s, {1000 * took / max(steps, 1):.1f} ms a step{memory}", flush=True)
        del module
    if cuda:
        worst = max(abs(a - b) / b for a, b in zip(losses["captured"], losses["device"], strict=True))
        result["largest_difference"] = worst
        print(f"largest relative difference of the losses: {worst:.2%}")
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
