"""`python -m tacit.training CONFIG [SECTION.KEY=VALUE ...]`: `tacit train` and `tacit fine-tune` without click."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tacit.errors import TacitError
from tacit.training import config as configurations


def main() -> int:
    """Train as the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tacit.training", description=__doc__)
    parser.add_argument("config", help=f"{', '.join(configurations.names())}, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE", help="values in place of the file's")
    parser.add_argument("--print-config", action="store_true", help="show what would be run, as YAML")
    parser.add_argument("--resume", type=Path, metavar="CHECKPOINT", help="go on from this checkpoint")
    parser.add_argument(
        "--from", dest="start", metavar="WEIGHTS", help="begin with these weights, as tacit fine-tune does"
    )
    parser.add_argument("--prepare", metavar="FOLDER", type=Path, help="write images and embedded captions, and stop")
    # Overrides may stand before and behind options, which plain parse_args refuses.
    arguments = parser.parse_intermixed_args()
    try:
        config = configurations.read(arguments.config, arguments.overrides)
        if arguments.print_config:
            print(config.to_yaml(), end="")
        elif arguments.prepare:
            from tacit.training.preparation import prepare

            images, captions = prepare(config, arguments.prepare)
            print(f"{images} images, {captions} captions -> {arguments.prepare}")
        elif arguments.start:
            from tacit.training.run import fine_tune

            print(fine_tune(config, arguments.start))
        else:
            from tacit.training.run import train

            print(train(config, resume=arguments.resume))
    except TacitError as error:
        print(f"tacit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
