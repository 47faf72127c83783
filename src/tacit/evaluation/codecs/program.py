"""Codecs that are programs, run by templates of their commands."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tacit.errors import InvalidInput
from tacit.evaluation.codecs.protocol import CaptionSource, Pixels, Quality, quality_text
from tacit.evaluation.cost import Cost

ENCODE_FIELDS = ("input", "file", "quality", "width", "height", "caption", "folder", "threads")
# A file must itself tell the image's size: decoding is given no width, height or caption.
DECODE_FIELDS = ("file", "output", "quality", "folder", "threads")


@dataclass(frozen=True, kw_only=True)
class ProgramCodec:
    """A codec that is a program, by templates of its commands.

    Commands run one after the other, without a shell. In them {input} is the PNG or PPM file to encode, {file} the
    compressed file, {output} the PNG or PPM file to decode to, {quality} the quality, {width} and {height} the image's
    size, {caption} its caption, {threads} the number of threads to use, and {folder} an empty folder for intermediate
    files.
    """

    name: str
    """The codec's name in results."""
    suffix: str
    """The suffix of its files, without the dot."""
    qualities: tuple[Quality, ...]
    """The qualities that are measured by default, by rising rate."""
    encode_commands: tuple[str, ...]
    """The command lines that encode."""
    decode_commands: tuple[str, ...]
    """The command lines that decode."""
    version_command: str | None = None
    """A command whose output names the version."""
    image_format: str = "png"
    """The format of {input} and {output}: "png" or "ppm"."""
    timeout: float = 3600
    """How many seconds each command may take."""
    captions: CaptionSource = "none"
    """Which caption the codec is given with an image."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables for the commands."""
    is_own: bool = False
    held_memory: int = 0

    def missing(self) -> str | None:
        """Return which of the programs is not installed, or None."""
        for command in (*self.encode_commands, *self.decode_commands):
            program = shlex.split(command)[0]
            if shutil.which(program) is None:
                return f"{self.name}: program {program} is not installed"
        return None

    def settings(self) -> Mapping[str, Any]:
        """Return the commands and the version that the files depend on."""
        return {
            "encode": list(self.encode_commands),
            "decode": list(self.decode_commands),
            "image": self.image_format,
            "environment": dict(self.environment),
            "version": self.version,
        }

    @property
    def step(self) -> float:
        """The smallest useful difference between two qualities that are numbers."""
        return 1 if all(isinstance(q, int) for q in self.qualities) else 0.01

    @cached_property
    def version(self) -> str | None:
        """The first line that the version's command prints."""
        if self.version_command is None:
            return None
        try:
            done = subprocess.run(
                shlex.split(self.version_command),
                capture_output=True,
                text=True,
                timeout=60,
                errors="replace",
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InvalidInput(f"{self.name}: {self.version_command}: {error}") from error
        return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), None)

    def check(self, quality: Quality) -> Quality:
        """Return the quality: what a program accepts is known to the program alone."""
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Encode an image [H, W, 3] into a file.

        Raises:
            InvalidInput: The program fails, or writes no file.
        """
        height, width, _ = pixels.shape
        with tempfile.TemporaryDirectory(prefix="tacit-eval-") as folder:
            source = Path(folder) / f"input.{self.image_format}"
            Image.fromarray(pixels).save(source)
            values = {
                "input": source,
                "file": target,
                "quality": quality_text(quality),
                "width": width,
                "height": height,
                "caption": caption or "",
                "folder": _new_folder(Path(folder)),
                "threads": threads,
            }
            cost = self._run(self.encode_commands, values)
        if not target.is_file():
            raise InvalidInput(f"{self.name}: the program reported success, but wrote no file")
        return cost

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        """Decode a file to [H, W, 3] uint8.

        Raises:
            InvalidInput: The program fails, or writes no image.
        """
        with tempfile.TemporaryDirectory(prefix="tacit-eval-") as folder:
            output = Path(folder) / f"output.{self.image_format}"
            values = {
                "file": source,
                "output": output,
                "quality": quality_text(quality),
                "folder": _new_folder(Path(folder)),
                "threads": threads,
            }
            cost = self._run(self.decode_commands, values)
            try:
                with Image.open(output) as image:
                    return np.asarray(image.convert("RGB")), cost
            except OSError as error:
                raise InvalidInput(
                    f"{self.name}: the program reported success, but its image cannot be read"
                ) from error

    def decode_unclamped(self, source: Path, quality: Quality, threads: int) -> None:
        """Return None: programs decode to 8 bits."""

    def _run(self, commands: Sequence[str], values: Mapping[str, object]) -> Cost:
        seconds, memory, cpu = 0.0, 0, 0.0
        for command in commands:
            arguments = [part.format_map(values) for part in shlex.split(command)]
            cost = _run_program(self.name, arguments, self.timeout, self.environment)
            seconds += cost.seconds
            memory = max(memory, cost.memory or 0)
            cpu += cost.cpu or 0
        return Cost(seconds, memory or None, cpu or None)


def _new_folder(parent: Path) -> Path:
    folder = parent / "between"
    folder.mkdir()
    return folder


def _run_program(name: str, arguments: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Cost:
    """Run a program to its end.

    Raises:
        InvalidInput: The program cannot be run, fails or takes too long; the message has the last line of its output.
    """
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        except OSError as error:
            raise InvalidInput(f"{name}: {arguments[0]} cannot be run: {error.strerror}") from error
        memory = cpu = None
        try:
            if hasattr(os, "wait4"):
                status, memory, cpu = _wait(process, start + timeout)
            else:
                status = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise InvalidInput(f"{name}: {arguments[0]} took more than {timeout:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - start
        if status != 0:
            output.seek(max(0, output.tell() - 2000))
            lines = output.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
            ending = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise InvalidInput(f"{name}: {Path(arguments[0]).name}: {ending}: {last[:300]}")
    return Cost(seconds, memory, cpu)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, int, float]:
    """Wait for a process, as Popen's own wait does, which returns the exit status alone.

    Returns:
        The exit status, the peak memory in bytes, and the seconds that processors worked.
    """
    pause = 0.0005
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            return process.returncode, memory, usage.ru_utime + usage.ru_stime
        if time.perf_counter() > deadline:
            raise subprocess.TimeoutExpired(process.args, 0)
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)
