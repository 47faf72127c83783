"""The command line: each command parses its options, calls the library, and prints the result.

Nothing heavy is imported here: `tacit --help` and `tacit info` must not wait for torch. Each command imports what it
needs when it runs. The reference (docs/cli.md) has the commands in the order of these imports.
"""

from tacit.cli.group import command
from tacit.cli.main import main

# isort: off
from tacit.cli import (
    encode,
    decode,
    info,
    caption,
    words,
    models,
    evaluate,
    training,
    demo,
    serve,
    export_web,
    desktop,
    bulk,
    study,
    bit_allocation,
    find,
)

# isort: on

__all__ = [
    "bit_allocation",
    "bulk",
    "caption",
    "command",
    "decode",
    "demo",
    "desktop",
    "encode",
    "evaluate",
    "export_web",
    "find",
    "info",
    "main",
    "models",
    "serve",
    "study",
    "training",
    "words",
]
