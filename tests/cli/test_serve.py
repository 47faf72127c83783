"""`tacit serve`."""

from __future__ import annotations

import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from PIL import Image

from support.pictures import synthetic
from support.web_service import image_bytes
from tacit import cli
from tacit.errors import (
    PathError,
)


@pytest.mark.slow
def test_the_command_serves_until_it_is_told_to_end(tiny_weights: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tacit", "serve", "--port", "0", "--workers", "1", "-m", str(tiny_weights)]

    def write_no_file() -> None:
        """Whatever it writes must be in memory or a pipe."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=write_no_file,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url), process.communicate()
        answers: list[Any] = []
        # a search takes a while: it is under way when the signal comes
        asking = threading.Thread(
            target=lambda: answers.append(
                httpx.post(f"{url}/v1/encode?psnr=25", content=image_bytes(Image.fromarray(synthetic(150, 100))))
            )
        )
        asking.start()
        deadline = time.monotonic() + 30
        while "running 1.0" not in httpx.get(f"{url}/metrics").text and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert [answer.status_code for answer in answers] == [200]
        assert process.wait(30) == 0
        assert process.communicate() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_wrong(tiny_weights: Path) -> None:
    run = CliRunner().invoke
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run(cli.command, ["serve", "--port", port, "-m", str(tiny_weights)])
        assert isinstance(result.exception, PathError)
        assert str(result.exception) == f"cannot listen at 127.0.0.1 port {port}: Address already in use"
    for arguments, message in (
        (["-m", "nothing"], "a weights file, got 'nothing'"),
        (["--token", ""], "token must have at least one"),
        (["--workers", "0"], "--workers"),
        (["--pixel-limit", "nan"], "must be a number, got 'nan'"),
    ):
        result = run(cli.command, ["serve", *arguments])
        assert result.exit_code == 2
        assert message in result.output
