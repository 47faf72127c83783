"""Processes that have imported Lightning already: a server does so once, and forks each process that is asked for."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tacit import cli


def process_server() -> ForkServerContext:
    """Return the context whose processes are forked from a server that has imported what training imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tacit.training.export", "tacit.training.run"])
    return context


def _train(path: Path, environment: dict[str, str], errors: Path) -> None:
    """Train as one of several processes, and write what it prints on standard error into a file."""
    with errors.open("wb") as stream:
        os.dup2(stream.fileno(), 2)
    os.environ.update(environment)
    sys.exit(cli.main(["train", str(path)]))


def train_together(path: Path, count: int, folder: Path) -> None:
    """Run `tacit train` in several processes that know of each other as torchrun tells them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "none"}
    common |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0", "OMP_NUM_THREADS": "1"}
    processes = []
    for rank in range(count):
        errors = folder / f"errors-{rank}.txt"
        environment = common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        process = process_server().Process(target=_train, args=(path, environment, errors))
        process.start()
        processes.append((process, errors))
    for process, errors in processes:
        process.join(400)
        assert process.exitcode == 0, errors.read_text()
