"""The command line: it parses, calls the library, and says what came of it.

Nothing heavy is imported here: `tacit --help` and `tacit info` must not wait for torch. Each command imports what it
needs when it runs. The reference (docs/cli.md) has the commands in the order of the imports.
"""

from tacit.cli.group import command
from tacit.cli.main import main

# isort: off
from tacit.cli import photos, caption, words, models, evaluation, training, demo, serve, bulk, study

# isort: on

__all__ = [
    "bulk",
    "caption",
    "command",
    "demo",
    "evaluation",
    "main",
    "models",
    "photos",
    "serve",
    "study",
    "training",
    "words",
]
