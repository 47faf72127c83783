"""A prepared run on one GPU, in one process: a trunk at a constant rate, then branches from its state that decay.

    tacit train tacit-s-tuned data.kind=folder data.path=photos --prepare prepared         # anywhere, beforehand
    python -m scripts.train_on_gpu prepared --from tacit-s --trunk 300 --branch plain 240

Each `--branch NAME SECONDS [KEY=VALUE ...]` goes on from the trunk's last checkpoint, with a cosine down to a hundredth
of the learning rate over its seconds. The images are decoded once. A step has 64 crops, at a learning rate of 1.4e-3,
unless `--set` says otherwise: as the shipped models were trained. The same command goes on where it was stopped. The
checkpoints stay in `--work`; the averaged weights of trunk and branches go to `--out`, in files of at most 15 MB.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from tacit.errors import TacitError
from tacit.training import config as configurations
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config
from tacit.training.dataset.bundle import read_bundle
from tacit.training.dataset.samples import ImageSource
from tacit.training.pieces import write_pieces, write_weights
from tacit.training.run import fine_tune, train

BEGUN = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the beginning."""
    print(f"[{time.monotonic() - BEGUN:6.1f}] {text}", flush=True)


def stage(arguments: argparse.Namespace, name: str, seconds: float, decay: float, overrides: Sequence[str]) -> Config:
    """Return the configuration of a stage.

    Args:
        arguments: The command line.
        name: The stage's name.
        seconds: When the stage ends, counted from the beginning of the trunk.
        decay: The seconds of these that the learning rate falls over.
        overrides: Values of this stage alone.
    """
    kind = ["data.kind=prepared", f"data.path={arguments.data}"]
    return configurations.read(
        arguments.config,
        [
            *kind,
            "run.log_every=250",
            "run.checkpoint_minutes=60",
            "data.batch=64",
            "optimizer.learning_rate=1.4e-3",
            *arguments.set,
            *overrides,
            "run.steps=0",
            "run.epochs=0",
            f"run.minutes={seconds / 60}",
            f"schedule.decay={decay / seconds}",
            f"run.out={arguments.work / name}",
        ],
    )


def run(config: Config, name: str, arguments: argparse.Namespace, trunk: Path | None, images: ImageSource) -> Path:
    """Train a stage, write its weights, and return its checkpoint."""
    say(f"{name}: begins, until {60 * config.run.minutes:.0f} s")
    if trunk is None and not (arguments.work / name / "last.ckpt").is_file() and arguments.start:
        path = fine_tune(config, arguments.start, images=images)
    else:
        path = train(config, resume=trunk, images=images)
    state = read_checkpoint(path)
    speed = state.pixels / max(state.seconds, 1e-9) / 1e6
    say(f"{name}: {state.steps} steps, {state.pixels / 1e9:.2f} Gpx in {state.seconds:.0f} s, {speed:.0f} Mpx/s")
    files = write_weights(state, arguments.out / f"{name}.pt")
    if arguments.checkpoints:
        files += write_pieces(path.read_bytes(), arguments.out / f"{name}.ckpt")
    say(f"{name}: wrote {', '.join(file.name for file in files)}")
    del state
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return path


def main() -> int:
    """Run the stages, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="the folder that --prepare wrote")
    parser.add_argument("--config", default="tacit-s-tuned", help="the configuration (%(default)s)")
    parser.add_argument("--from", dest="start", help="weights to begin with")
    parser.add_argument("--trunk", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--branch", nargs="+", action="append", default=[], metavar="NAME SECONDS [KEY=VALUE ...]")
    parser.add_argument("--work", type=Path, default=Path("runs/gpu"), help="folder of the checkpoints (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu/out"), help="folder of the weights (%(default)s)")
    parser.add_argument("--checkpoints", action="store_true", help="write the checkpoints to --out as well, in pieces")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values for all stages")
    arguments = parser.parse_args()
    if any(len(branch) < 2 or "=" in branch[1] for branch in arguments.branch):
        parser.error("--branch needs a name and seconds")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((arguments.work / "compiled").resolve()))
    try:
        say(f"reading {arguments.data}")
        images = read_bundle(Path(arguments.data))
        say(f"{len(images)} images, {images.pixels.size / 3e6:.0f} MP, {sum(map(len, images.captions))} captions")
        trunk = run(stage(arguments, "trunk", arguments.trunk, 0.0, []), "trunk", arguments, None, images)
        for name, text, *overrides in arguments.branch:
            seconds = float(text)
            config = stage(arguments, name, arguments.trunk + seconds, seconds, overrides)
            run(config, name, arguments, trunk, images)
    except TacitError as error:
        print(f"tacit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
