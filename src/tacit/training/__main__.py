"""`python -m tacit.training CONFIG [SECTION.KEY=VALUE ...]`: `tacit train` without click."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tacit.errors import TacitError
from tacit.training import config as configurations


def main() -> int:
    """Parse and train; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tacit.training", description=__doc__)
    parser.add_argument("config", help=f"{', '.join(configurations.names())}, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE")
    parser.add_argument("--print-config", action="store_true", help="show what would be run, as YAML")
    parser.add_argument("--resume", type=Path, help="go on from this checkpoint")
    parser.add_argument("--from", dest="start", metavar="WEIGHTS", help="begin with these, as tacit fine-tune does")
    parser.add_argument("--prepare", metavar="FOLDER", type=Path, help="write photos and embedded captions, and stop")
    arguments = parser.parse_args()
    try:
        config = configurations.read(arguments.config, arguments.overrides)
        if arguments.print_config:
            print(config.to_yaml(), end="")
            return 0
        from tacit.training.fit import fine_tune, prepare, train

        if arguments.prepare:
            photos, captions = prepare(config, arguments.prepare)
            print(f"{photos} photos, {captions} captions -> {arguments.prepare}")
        elif arguments.start:
            print(fine_tune(config, arguments.start))
        else:
            print(train(config, resume=arguments.resume))
    except TacitError as error:
        print(f"tacit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
