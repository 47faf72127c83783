"""Train `tacit-s` from a pool of photos: `python -m tacit.training.run POOL OUT`.

One process, plain PyTorch: mixed rates (quality drawn per image), captions dropped part of the time, EMA, bf16
autocast, a checkpoint every few minutes under a temporary name, and resume.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.data.pool import Pool, open_pool
from tacit.models.model import SmallConfig, SmallModel
from tacit.text.tokens import TextTokens
from tacit.training.klt import start_as_klt
from tacit.training.loss import WEIGHT_HIGH, WEIGHT_LOW, rate_distortion, rate_weight


@dataclass(frozen=True)
class Options:
    """What a run is; times in minutes. The learning rate is constant after warm-up and falls over the last `decay`."""

    crop: int = 192
    batch: int = 16
    rate: float = 1e-3
    warmup: int = 200
    minutes: float = 60.0
    decay: float = 0.0
    caption_dropout: float = 0.3
    ema: float = 0.999
    clip: float = 1.0
    seed: int = 0
    threads: int = 2


class Loader:
    """Batches of crops, captions and qualities, prepared ahead in a thread."""

    def __init__(self, pool: Pool, options: Options, tokens: CaptionCache | None, seed: int) -> None:
        self.pool, self.options, self.tokens = pool, options, tokens
        self.rng = np.random.default_rng(seed)
        self.queue: queue.Queue[tuple[Tensor, TextTokens | None, Tensor]] = queue.Queue(maxsize=4)
        # every photo in turn in a new order, larger photos more often: crops are spread over the pixels
        share = np.minimum(pool.shapes.prod(axis=1), 600_000).astype(float)
        self.share = share / share.sum()
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        o = self.options
        while True:
            chosen = self.rng.choice(len(self.pool), o.batch, p=self.share)
            crops = np.stack([self.pool.crop(i, o.crop, self.rng) for i in chosen])
            x = torch.from_numpy(crops).permute(0, 3, 1, 2)
            quality = torch.from_numpy(self.rng.random(o.batch) * 100).float()
            tokens = None
            if self.tokens is not None:
                captions = []
                for i in chosen:
                    options = self.pool.captions[i]
                    drop = not options or self.rng.random() < o.caption_dropout
                    captions.append(None if drop else options[self.rng.integers(len(options))])
                tokens = self.tokens(captions)
            self.queue.put((x, tokens, quality))

    def next(self) -> tuple[Tensor, TextTokens | None, Tensor]:
        """crops [B, 3, H, W] uint8, tokens, qualities [B]."""
        return self.queue.get()


class CaptionCache:
    """Encodes each caption once; keeps half precision."""

    def __init__(self, name: str) -> None:
        from tacit.text.encoders import load_encoder

        self.encoder = load_encoder(name)
        self.known: dict[str | None, TextTokens] = {}

    def __call__(self, captions: list[str | None]) -> TextTokens:
        for caption in captions:
            if caption not in self.known:
                self.known[caption] = self.encoder([caption])
        return TextTokens.stack([self.known[c] for c in captions])


def save(path: Path, state: dict[str, object]) -> None:
    """Write to a temporary name, then rename."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def train(pool_path: Path, out: Path, options: Options, config: SmallConfig, start: Path | None) -> None:
    """Train until `options.minutes` have passed; resumes from `out`/last.pt where there is one."""
    torch.set_num_threads(options.threads)
    out.mkdir(parents=True, exist_ok=True)
    pool = open_pool(pool_path, in_memory=True)
    last = out / "last.pt"
    source = last if last.exists() else start
    state = torch.load(source, weights_only=True) if source else None
    torch.manual_seed(options.seed)
    if state:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in state["config"].items()}
        config = SmallConfig(**values)
    model = SmallModel(config)
    if state:
        model.load_state_dict(state["model"])
    else:
        rng = np.random.default_rng(options.seed)
        first_crops = np.stack([pool.crop(int(i), options.crop, rng) for i in rng.integers(len(pool), size=2500)])
        start_as_klt(model, torch.from_numpy(first_crops).permute(0, 3, 1, 2))
    ema = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate, betas=(0.9, 0.99), fused=True)
    step, pixels = 0, 0
    if state:
        ema.load_state_dict(state["ema"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        step, pixels = state["step"], state["pixels"]
    try:
        captions = CaptionCache(config.text_encoder)
    except Exception as error:  # the text encoder is not there yet: train without captions
        print("no captions:", error, flush=True)
        captions = None
    loader = Loader(pool, options, captions, seed=options.seed + step)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def checkpoint() -> None:
        save(
            last,
            {
                "config": config.as_dict(),
                "model": model.state_dict(),
                "ema": ema.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step,
                "pixels": pixels,
            },
        )

    begun = saved = shown = time.monotonic()
    first = step
    skipped = 0
    sums = np.zeros(4)
    middle = math.sqrt(WEIGHT_LOW * WEIGHT_HIGH)
    while True:
        minutes = (time.monotonic() - begun) / 60
        if minutes >= options.minutes:
            break
        rate = options.rate * min(1.0, (step - first + 1) / options.warmup)
        left = options.minutes - minutes
        if left < options.decay:
            rate = options.rate * max(0.5 * (1 - math.cos(math.pi * left / options.decay)), 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        crops, tokens, quality = loader.next()
        x = crops.float().div_(255).contiguous(memory_format=torch.channels_last)
        if tokens is None:
            tokens = TextTokens.empty(x.shape[0], config.text_width)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            forward = model(x, tokens, quality)
        loss, bpp, mse = rate_distortion(forward, x, quality)
        # the loss grows about as lambda^0.5: weigh it down, so that low rates count as much as high ones
        weighted = (loss * (rate_weight(quality) / middle) ** -0.4).mean()
        optimizer.zero_grad(set_to_none=True)
        weighted.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        if not torch.isfinite(norm):
            skipped += 1
            continue
        optimizer.step()
        step += 1
        pixels += x.shape[0] * x.shape[2] * x.shape[3]
        decay = min(options.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)
        with torch.no_grad():
            psnr = -10 * mse.clamp_min(1e-9).log10().mean()
            sums += [weighted.item(), bpp.mean().item(), psnr.item(), min(float(norm), 100)]
        now = time.monotonic()
        if step % 50 == 0:
            row = {
                "step": step,
                "gpx": round(pixels / 1e9, 3),
                "loss": round(sums[0] / 50, 4),
                "bpp": round(sums[1] / 50, 4),
                "psnr": round(sums[2] / 50, 3),
                "norm": round(sums[3] / 50, 3),
                "rate": rate,
                "mpx_s": round(50 * x.shape[0] * options.crop**2 / 1e6 / (now - shown), 3),
                "skipped": skipped,
            }
            print(json.dumps(row), flush=True)
            sums[:] = 0
            shown = now
        if now - saved > 300:
            checkpoint()
            saved = now
    checkpoint()


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", type=Path, help="begin from this checkpoint")
    defaults = Options()
    for name in Options.__dataclass_fields__:
        value = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    arguments = vars(parser.parse_args())
    pool, out, start = (arguments.pop(n) for n in ("pool", "out", "start"))
    train(pool, out, Options(**arguments), SmallConfig(), start)


if __name__ == "__main__":
    main()
