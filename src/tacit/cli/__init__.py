"""The command line: each command parses its options, calls the library, and prints the result.

Nothing heavy is imported here: `tacit --help` and `tacit info` must not wait for torch. A command's module is imported
when the command is asked for (`group.COMMANDS`), and it imports what it needs when it runs.
"""

from tacit.cli.group import command
from tacit.cli.main import main

__all__ = ["command", "main"]
