"""Files on disk: which ones the arguments mean, where results go, and reading and writing one whole or not at all."""

from tacit.files.arguments import IMAGE_SUFFIXES, TACIT_SUFFIXES, Task, find, plan
from tacit.files.atomic import STDIO, move, read, reason, verified, write
from tacit.files.hashes import sha256

__all__ = [
    "IMAGE_SUFFIXES",
    "STDIO",
    "TACIT_SUFFIXES",
    "Task",
    "find",
    "move",
    "plan",
    "read",
    "reason",
    "sha256",
    "verified",
    "write",
]
