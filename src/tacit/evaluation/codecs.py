"""Codecs under measurement: Pillow's, tacit's models, and any program by its command.

Each writes a real file and reads it back; what it says of itself (`settings`) decides whether an earlier result holds.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image, features

from tacit import files, weights
from tacit.errors import InvalidInput, MissingExtra, PathError, TacitError
from tacit.evaluation.baselines import BASELINES
from tacit.evaluation.cost import Cost, measured
from tacit.words import shared_weigher

if TYPE_CHECKING:
    from tacit.codec import Codec

Quality = float | str
"""A point of a codec's range: a number, or a name where a codec has fixed points."""

Pixels = np.ndarray
"""[H, W, 3] uint8, RGB."""


class EvalCodec(Protocol):
    """A codec as the runner sees it. Instances are small and can be sent to other processes.

    name: in results. suffix: of its files, without dot. qualities: measured by default, by rising rate.
    step: the least sensible difference of two numbers of its qualities. captions: "none", "own", or "swapped" (another
    image's).
    """

    @property
    def name(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def qualities(self) -> tuple[Quality, ...]: ...
    @property
    def step(self) -> float: ...
    @property
    def captions(self) -> str: ...

    def settings(self) -> Mapping[str, Any]:
        """All that its files depend on besides image, caption and quality: options, versions, hashes. For JSON."""

    def check(self, quality: Quality) -> Quality:
        """The quality as results have it. Raises: InvalidInput for one that this codec has not."""

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Write a file."""

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        """Read a file."""

    def missing(self) -> str | None:
        """What has to be installed first, if anything."""


# -- Pillow -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PillowCodec:
    """A format that Pillow writes.

    parameter: what its quality is: "quality", or "dB", JPEG 2000's target of fidelity. step: between its qualities.
    library: whose version counts. plugin: the module that brings the format.
    """

    name: str
    format: str
    suffix: str
    options: Mapping[str, Any]
    qualities: tuple[Quality, ...]
    highest: float
    library: Callable[[], str | None]
    parameter: str = "quality"
    step: float = 1
    plugin: str | None = None
    captions: str = "none"

    def missing(self) -> str | None:
        if self.plugin is not None:
            try:
                importlib.import_module(self.plugin)
            except ImportError:
                return f"{self.name} needs a plugin of Pillow: pip install 'tacit[eval]'"
        Image.init()
        if self.format not in Image.SAVE or self.library() is None:
            return f"{self.name}: this Pillow ({importlib.metadata.version('pillow')}) was built without it"
        return None

    def settings(self) -> Mapping[str, Any]:
        return {
            "format": self.format,
            "options": dict(self.options),
            "quality": self.parameter,
            "library": self.library(),
            "pillow": importlib.metadata.version("pillow"),
        }

    def check(self, quality: Quality) -> Quality:
        if isinstance(quality, str) or not 0 <= quality <= self.highest:
            raise InvalidInput(f"{self.name}: quality {quality}; 0 to {self.highest:g} are possible")
        if self.step == 1 and quality != int(quality):
            raise InvalidInput(f"{self.name}: quality {quality}; whole numbers are possible")
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        assert not isinstance(quality, str)
        if self.plugin is not None:
            importlib.import_module(self.plugin)
        image = Image.fromarray(pixels)
        options = dict(self.options)
        if self.parameter == "dB":
            options |= {"quality_mode": "dB", "quality_layers": [quality]}
        else:
            options["quality"] = int(quality) if self.step == 1 else quality
        if self.format == "JXL":
            options["num_threads"] = threads
        return measured(lambda: image.save(target, self.format, **options))[1]

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        if self.plugin is not None:
            importlib.import_module(self.plugin)

        def read() -> Pixels:
            with Image.open(source, formats=[self.format]) as image:
                return np.asarray(image.convert("RGB"))

        with _reading(self.format, threads):
            return measured(read)


# Formats whose plugins take all cores to decode, unless a variable of theirs says otherwise.
_THREADS = {
    "AVIF": ("PIL.AvifImagePlugin", "DEFAULT_MAX_THREADS"),
    "JXL": ("pillow_jxl.JpegXLImagePlugin", "DECODE_THREADS"),
}


@contextmanager
def _reading(format: str, threads: int) -> Iterator[None]:
    """So many threads for Pillow's plugin of a format, as for every other codec."""
    if format not in _THREADS:
        yield
        return
    module, variable = _THREADS[format]
    plugin = importlib.import_module(module)
    before = getattr(plugin, variable)
    setattr(plugin, variable, threads)
    try:
        yield
    finally:
        setattr(plugin, variable, before)


@dataclass(frozen=True)
class _Feature:
    """A library's version by Pillow; an object, since functions made on the spot cannot go to other processes."""

    name: str

    def __call__(self) -> str | None:
        return features.version(self.name)


def _jxl_version() -> str | None:
    try:
        return importlib.metadata.version("pillow-jxl-plugin")
    except importlib.metadata.PackageNotFoundError:
        return None


PILLOW: Mapping[str, PillowCodec] = MappingProxyType(
    {
        codec.name: codec
        for codec in (
            PillowCodec(
                "jpeg",
                "JPEG",
                "jpg",
                BASELINES["JPEG"].options,
                (5, 10, 18, 30, 45, 62, 80, 92),
                95,
                _Feature("jpg"),
            ),
            PillowCodec(
                "webp",
                "WEBP",
                "webp",
                BASELINES["WebP"].options,
                (0, 8, 20, 38, 55, 72, 84, 94),
                100,
                _Feature("webp"),
                step=BASELINES["WebP"].step,
            ),
            PillowCodec(
                "avif",
                "AVIF",
                "avif",
                # Its bytes depend on both, and must not depend on how many cores there are.
                {**BASELINES["AVIF"].options, "autotiling": False, "max_threads": 1},
                (8, 20, 32, 44, 56, 68, 78, 88),
                100,
                _Feature("avif"),
            ),
            PillowCodec(
                "jp2",
                "JPEG2000",
                "jp2",
                {"irreversible": True, "mct": 1},
                (24.0, 26.0, 28.0, 30.0, 32.0, 34.5, 37.0, 40.0),
                100,
                _Feature("jpg_2000"),
                parameter="dB",
                step=0.1,
            ),
            PillowCodec(
                "jxl",
                "JXL",
                "jxl",
                {"effort": 7},
                (5, 12, 22, 35, 50, 65, 80, 90),
                99,
                _jxl_version,
                plugin="pillow_jxl",
            ),
        )
    }
)
"""By name. Chroma subsampling is Pillow's own choice: 4:2:0 in JPEG, WebP and AVIF."""


# -- tacit ------------------------------------------------------------------------------------------------------------

TACIT_QUALITIES: tuple[Quality, ...] = (0, 14, 28, 42, 57, 71, 86, 100)
FIXED = "fixed"
SPEC = re.compile(
    r"(?P<base>.+?)(?:\+(?P<told>captions|swapped))?(?P<weighted>\+weighted)?(?:\+steer(?P<steer>\d+(?:\.\d+)?))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class TacitCodec:
    """A model of tacit, or several of fixed rate that make one curve.

    models: weights files by quality; one for all qualities (under the key "") where the rate is variable. precision:
    "fp32" or "bf16". weighted: the captions' words have weights (`tacit.words`). steer: steps of quality between what a
    caption names and what it does not.
    """

    name: str
    models: Mapping[str, Path]
    captions: str
    device: str
    precision: str
    suffix: str = "tacit"
    step: float = 0.5
    weighted: bool = False
    steer: float = 0.0

    @property
    def qualities(self) -> tuple[Quality, ...]:
        return TACIT_QUALITIES if "" in self.models else tuple(self.models)

    def missing(self) -> str | None:
        return None

    def settings(self) -> Mapping[str, Any]:
        from tacit.codec.steering import SHA256

        about = {key: weights.describe(path) for key, path in self.models.items()}
        return {
            "architecture": next(iter(about.values())).architecture,
            "weights": {
                key or "all": {"file": a.path.name, "hash": a.decode_hash.hex(), "sha256": _sha256(a.path)}
                for key, a in about.items()
            },
            "captions": self.captions,
            **({"word_weights": dict(shared_weigher().settings)} if self.weighted else {}),
            **({"steer": self.steer, "grounding": SHA256} if self.steer else {}),
            "precision": self.precision,
            "device": self.device,
            "tacit": importlib.metadata.version("tacit"),
            "torch": importlib.metadata.version("torch"),
        }

    def check(self, quality: Quality) -> Quality:
        if "" not in self.models:
            if str(quality) not in self.models:
                raise InvalidInput(f"{self.name}: quality {quality}; there are {', '.join(self.models)}")
            return str(quality)
        if isinstance(quality, str) or not 0 <= quality <= 100:
            raise InvalidInput(f"{self.name}: quality {quality}; 0 to 100 are possible")
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        codec = self.codec(quality, threads)
        number = None if isinstance(quality, str) else quality

        def work() -> None:
            target.write_bytes(codec.encode(pixels, caption, number))

        return measured(work)[1]

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        codec = self.codec(quality, threads)
        return measured(lambda: np.asarray(codec.decode(source).convert("RGB")))

    def unclamped(self, source: Path, quality: Quality, threads: int) -> np.ndarray:
        """The decoded picture before it is clamped and rounded: [H, W, 3] float32, about 0 to 1."""
        return self.codec(quality, threads).unclamped(source).permute(1, 2, 0).numpy()

    def codec(self, quality: Quality, threads: int) -> Codec:
        """Loaded and warm."""
        path = self.models[""] if "" in self.models else self.models[str(quality)]
        return _loaded(path, self.device, self.precision, threads, self.weighted, self.steer)


@lru_cache(maxsize=4)
def _loaded(path: Path, device: str, precision: str, threads: int, weighted: bool, steer: float) -> Codec:
    """With one small image through it, so that times are those of work and not of loading."""
    from tacit.codec import Codec

    codec = Codec(path, device=device, precision=precision, threads=threads, word_weights=weighted, steer=steer)
    codec.decode(codec.encode(np.zeros((64, 64, 3), np.uint8), "a grey square"))
    return codec


@lru_cache(maxsize=64)
def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tacit(spec: str, device: str, precision: str) -> TacitCodec:
    """NAME, a weights file, or a folder of weights files of fixed rate; with +captions or +swapped behind it, +weighted
    behind that, and +steerN behind that."""
    parts = SPEC.fullmatch(spec)
    if parts is None:
        raise InvalidInput("a codec's name is needed")
    base, weighted, steer = parts["base"], bool(parts["weighted"]), parts["steer"]
    captions = {"captions": "own", "swapped": "swapped", None: "own" if weighted or steer else "none"}[parts["told"]]
    folder = Path(base)
    if folder.is_dir():
        paths = sorted(folder.glob("*.safetensors"))
        if not paths:
            raise InvalidInput(f"{base}: no weights files (.safetensors) in this folder")
        if any(weights.describe(path).variable_rate for path in paths):
            raise InvalidInput(
                f"{base}: a folder makes one curve of weights of fixed rate, and these are not; name one"
            )
        models = {path.stem: path for path in paths}
        name = folder.resolve().name
    else:
        path = weights.locate(base)
        name = path.stem
        models = {"" if weights.describe(path).variable_rate else FIXED: path}
    name += spec.removeprefix(base)
    from tacit.codec import Codec

    strength: dict[str, Any] = {} if steer is None else {"steer": float(steer)}
    one = Codec(next(iter(models.values())), device=device, precision=precision, **strength)
    return TacitCodec(
        name,
        models,
        captions,
        device,
        "bf16" if "bfloat16" in str(one.precision) else "fp32",
        weighted=weighted,
        steer=0.0 if captions == "none" else one.steer,
    )


# -- programs ---------------------------------------------------------------------------------------------------------

FIELDS = ("input", "file", "output", "quality", "width", "height", "caption", "folder", "threads")


@dataclass(frozen=True)
class CommandCodec:
    """A codec that is a program, by templates of its commands.

    encode, decode: one or more command lines each, run one after the other without a shell. In them {input} is the
    PNG (or PPM) to encode, {file} the compressed file, {output} the PNG or PPM to decode to, {quality} the quality,
    {width} and {height} the image's size, {caption} its caption, {threads} the threads to use, and {folder} an empty
    folder for what lies between. version: a command whose output names the version.
    """

    name: str
    suffix: str
    qualities: tuple[Quality, ...]
    encoding: tuple[str, ...]
    decoding: tuple[str, ...]
    version: str | None = None
    image: str = "png"
    timeout: float = 3600
    captions: str = "none"
    environment: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        for command in (*self.encoding, *self.decoding):
            program = shlex.split(command)[0]
            if shutil.which(program) is None:
                return f"{self.name}: no program {program} here"
        return None

    def settings(self) -> Mapping[str, Any]:
        return {
            "encode": list(self.encoding),
            "decode": list(self.decoding),
            "image": self.image,
            "environment": dict(self.environment),
            "version": self.found_version,
        }

    @property
    def step(self) -> float:
        return 1 if all(isinstance(q, int) for q in self.qualities) else 0.01

    @cached_property
    def found_version(self) -> str | None:
        """The first line of what the version's command says."""
        if self.version is None:
            return None
        try:
            done = subprocess.run(
                shlex.split(self.version), capture_output=True, text=True, timeout=60, errors="replace", check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InvalidInput(f"{self.name}: {self.version}: {error}") from error
        return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), None)

    def check(self, quality: Quality) -> Quality:
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        height, width, _ = pixels.shape
        with tempfile.TemporaryDirectory(prefix="tacit-eval-") as folder:
            source = Path(folder) / f"input.{self.image}"
            Image.fromarray(pixels).save(source)
            values = {
                "input": source,
                "file": target,
                "quality": _plain(quality),
                "width": width,
                "height": height,
                "caption": caption or "",
                "folder": _made(Path(folder) / "between"),
                "threads": threads,
            }
            cost = self._run(self.encoding, values)
        if not target.is_file():
            raise InvalidInput(f"{self.name}: the program ended well, but wrote no file")
        return cost

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        with tempfile.TemporaryDirectory(prefix="tacit-eval-") as folder:
            output = Path(folder) / f"output.{self.image}"
            # The size of the image is what a file must say itself: no width, height or caption here.
            values = {
                "file": source,
                "output": output,
                "quality": _plain(quality),
                "folder": _made(Path(folder) / "between"),
                "threads": threads,
            }
            cost = self._run(self.decoding, values)
            try:
                with Image.open(output) as image:
                    return np.asarray(image.convert("RGB")), cost
            except OSError as error:
                raise InvalidInput(f"{self.name}: the program ended well, but its picture cannot be read") from error

    def _run(self, commands: Sequence[str], values: Mapping[str, object]) -> Cost:
        seconds, memory, cpu = 0.0, 0, 0.0
        for command in commands:
            arguments = [part.format_map(values) for part in shlex.split(command)]
            cost = _run(self.name, arguments, self.timeout, self.environment)
            seconds += cost.seconds
            memory = max(memory, cost.memory or 0)
            cpu += cost.cpu or 0
        return Cost(seconds, memory or None, cpu or None)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _plain(quality: Quality) -> str:
    return quality if isinstance(quality, str) else f"{quality:g}"


def _run(name: str, arguments: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Cost:
    """Run a program to its end. Raises: InvalidInput, with the end of what it said."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        except OSError as error:
            raise InvalidInput(f"{name}: {arguments[0]} cannot be run: {error.strerror}") from error
        memory = cpu = None
        try:
            if hasattr(os, "wait4"):
                status, memory, cpu = _wait(process, begun + timeout)
            else:
                status = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise InvalidInput(f"{name}: {arguments[0]} took more than {timeout:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - begun
        if status != 0:
            said.seek(max(0, said.tell() - 2000))
            lines = said.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing said")
            ended = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise InvalidInput(f"{name}: {Path(arguments[0]).name}: {ended}: {last[:300]}")
    return Cost(seconds, memory, cpu)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, int, float]:
    """Exit status, peak memory in bytes and seconds of processors. Popen's own wait tells the first alone."""
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


def load_commands(path: str | os.PathLike[str]) -> dict[str, CommandCodec]:
    """Codecs of a TOML file, by name: tables [codec.NAME] with `encode`, `decode`, `suffix`, `qualities` (by rising
    rate), and if wanted `version`, `image` ("png" or "ppm"), `timeout` in seconds, `captions` (true: they are given)
    and `environment`.

    Raises: PathError; InvalidInput, naming the table and the entry.
    """
    try:
        content = tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise PathError(f"{path} cannot be read: {files.reason(error)}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path}: not TOML: {error}") from error
    tables = content.pop("codec", None)
    if content or not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise InvalidInput(f"{path}: expected tables [codec.NAME], and nothing else")
    return {name: _command(f"{path}: codec.{name}", name, table) for name, table in tables.items()}


def _command(where: str, name: str, table: dict[str, Any]) -> CommandCodec:
    known = {"encode", "decode", "suffix", "qualities", "version", "image", "timeout", "captions", "environment"}
    if unknown := table.keys() - known:
        raise InvalidInput(f"{where}: unknown entry {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    if lacking := {"encode", "decode", "suffix", "qualities"} - table.keys():
        raise InvalidInput(f"{where}: {', '.join(sorted(lacking))} missing")
    if name in PILLOW or not re.fullmatch(r"[\w.-]+", name):
        raise InvalidInput(f"{where}: the name is taken, or not of letters, digits, dots and dashes alone")
    commands = {}
    for key in ("encode", "decode"):
        lines = [table[key]] if isinstance(table[key], str) else table[key]
        if not isinstance(lines, list) or not lines or not all(isinstance(line, str) and line for line in lines):
            raise InvalidInput(f"{where}: {key}: a command is needed, or a list of commands")
        for line in lines:
            _check_template(f"{where}: {key}", line, key)
        for needed in ("{input}", "{file}") if key == "encode" else ("{file}", "{output}"):
            if not any(needed in line for line in lines):
                raise InvalidInput(f"{where}: {key}: {needed} is in none of its commands")
        commands[key] = tuple(lines)
    qualities = table["qualities"]
    if not isinstance(qualities, list) or not qualities or not all(_is_quality(q) for q in qualities):
        raise InvalidInput(f"{where}: qualities: a list of numbers or names is needed")
    if table.get("image", "png") not in ("png", "ppm"):
        raise InvalidInput(f"{where}: image: png or ppm are possible")
    environment = table.get("environment", {})
    if not isinstance(environment, dict) or not all(isinstance(v, str) for v in environment.values()):
        raise InvalidInput(f"{where}: environment: a table of texts is needed")
    kinds: dict[str, Any] = {"suffix": str, "version": str, "captions": bool, "timeout": (int, float)}
    for key, kind in kinds.items():
        if key in table and not isinstance(table[key], kind):
            raise InvalidInput(f"{where}: {key}: not {table[key]!r}")
    return CommandCodec(
        name,
        table["suffix"].lstrip("."),
        tuple(qualities),
        commands["encode"],
        commands["decode"],
        table.get("version"),
        table.get("image", "png"),
        table.get("timeout", 3600),
        "own" if table.get("captions", False) else "none",
        environment,
    )


def _is_quality(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _check_template(where: str, line: str, key: str) -> None:
    """Before hours of work, not after."""
    fields = FIELDS if key == "encode" else ("file", "output", "quality", "folder", "threads")
    try:
        parts = shlex.split(line)
        for part in parts:
            part.format_map(dict.fromkeys(fields, ""))
    except KeyError as error:
        raise InvalidInput(f"{where}: {{{error.args[0]}}} is not known; there are {', '.join(fields)}") from error
    except (ValueError, IndexError, AttributeError) as error:
        raise InvalidInput(f"{where}: {error}") from error


# -- by name ----------------------------------------------------------------------------------------------------------


def find_codec(
    spec: str, commands: Mapping[str, CommandCodec] | None = None, *, device: str = "cpu", precision: str = "auto"
) -> EvalCodec:
    """The codec that `spec` means: one of `PILLOW`, one of `commands`, or a model of tacit: its name, a weights file,
    or a folder of weights of fixed rate, which make one curve. `+captions` behind a model gives it each image's
    caption, `+swapped` that of the next image; without, it gets none. `+weighted` behind these weighs its words, and
    `+steerN` behind that steers by them with N steps of quality instead of the usual ones.

    Raises: MissingExtra, where its library or program is not installed; UnknownModel, PathError, InvalidInput.
    """
    if spec in PILLOW:
        found: EvalCodec = PILLOW[spec]
    elif commands and spec in commands:
        found = commands[spec]
    else:
        try:
            found = _tacit(spec, device, precision)
        except TacitError as error:
            others = ", ".join([*PILLOW, *(commands or ())])
            raise type(error)(f"{error}; other codecs: {others}") from error
    if (problem := found.missing()) is not None:
        raise MissingExtra(problem)
    return found
