"""The configuration of a study: frozen dataclasses, read from YAML, with single keys overridden as `key=value`.

`${NAME}` in a text stands for the environment variable NAME.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from tacit import yaml_config
from tacit.codec.steering import COVER
from tacit.errors import InvalidInput

FOLDER = resources.files("tacit.study") / "configs"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")

JUDGE_NAMES = ("reading", "detection", "recognition")
"""What can judge decoded files (`tacit.study.judges`)."""

VARIABLES = ("TACIT_DATA", "TACIT_POOL", "TACIT_WEIGHTS")
"""The environment variables that the configurations in the package ask for."""


@dataclass(frozen=True)
class SetConfig:
    """A set of images to measure on. A set that does not exist on this machine is reported and left out."""

    source: str
    """The set, as `tacit eval` takes it."""
    captions: Mapping[str, str] = field(default_factory=dict)
    """By kind of caption (short, detailed and so on), where the captions are.

    This is the path of a caption map, or "own" for the set's own captions, or "joined" for all captions that the set
    has of an image, joined into one.
    """
    limit: int = 0
    """How many images of the set are used, from the first on; 0 for all."""


@dataclass(frozen=True)
class MeasureConfig:
    """How the evaluation harness measures files."""

    sets: tuple[SetConfig, ...] = ()
    """The sets of images."""
    qualities: tuple[float, ...] = (10, 35, 60, 85)
    """The qualities to encode at, 0 to 100."""
    metrics: tuple[str, ...] = ("psnr", "ms-ssim", "squeezenet-distance")
    """The metrics, by their names in `tacit eval`."""
    precision: str = "auto"
    """The precision of the model: fp32, bf16 or auto."""


@dataclass(frozen=True)
class VariantConfig:
    """One variant of an ablation."""

    name: str
    """The variant's name, in letters, digits, dots and dashes."""
    overrides: tuple[str, ...] = ()
    """What the variant changes in the training configuration, as SECTION.KEY=VALUE."""
    codec: str = "+captions"
    """The options that `tacit eval` gets behind the weights file, such as "+captions"."""
    captions: str = "short"
    """The kind of captions that the encoder gets when the variant is measured."""


@dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """Variants of one training run; the first of them is the baseline."""

    training: str = "tacit-s"
    """The training configuration, by its name or path, as `tacit train` takes it."""
    start: str = ""
    """The weights that every run begins with; empty for random weights."""
    steps: int = 0
    """The number of training steps of each run; 0 for the number in the training configuration."""
    shared: tuple[str, ...] = ()
    """What all variants change in the training configuration, as SECTION.KEY=VALUE."""
    seeds: tuple[int, ...] = (0, 1)
    """The random seeds; each variant is trained once with each."""
    variants: tuple[VariantConfig, ...] = ()
    """The variants."""
    measure: MeasureConfig = MeasureConfig()
    """How the exported weights are measured."""
    kind: str = "ablation"
    """The kind of the study."""

    def __post_init__(self) -> None:
        _check_distinct("variants", [v.name for v in self.variants])
        _check_distinct("seeds", self.seeds)
        for variant in self.variants:
            if not NAME.fullmatch(variant.name):
                raise InvalidInput(
                    f"a variant's name must be of letters, digits, dots and dashes, got {variant.name!r}"
                )


@dataclass(frozen=True, kw_only=True)
class CaptionStudyConfig:
    """The same weights with no caption, with each kind of caption, and with other images' captions of that kind."""

    weights: str = "tacit-s"
    """The weights, by their name or path."""
    kinds: tuple[str, ...] = ("short", "detailed")
    """The kinds of captions to compare."""
    steer: tuple[float, ...] = (0, 20)
    """By how many steps of quality captions steer, 0 to 100. Each value is measured.

    At 0 a caption acts inside the network alone.
    """
    rotations: int = 2
    """How many other images' captions each image gets, one after the other; at least 1."""
    measure: MeasureConfig = MeasureConfig()
    """How the files are measured."""
    kind: str = "captions"
    """The kind of the study."""

    def __post_init__(self) -> None:
        _check_distinct("kinds", self.kinds)
        _check_distinct("steer", self.steer)
        _check_steer(*self.steer)
        if self.rotations < 1:
            raise InvalidInput(f"rotations must be at least 1, got {self.rotations}")


@dataclass(frozen=True, kw_only=True)
class SteeringConfig:
    """Whether a caption's words bring bits to what they name, in mosaics of images and in single images."""

    weights: str = "tacit-s"
    """The weights, by their name or path."""
    captions: str = "short"
    """The kind of captions that mosaics use."""
    steer: float = 20
    """The steps of quality between what the words name and what they do not, 0 to 100."""
    pairs: int = 12
    """The number of mosaics of two images of the first set."""
    quads: int = 6
    """The number of mosaics of four images of the first set. There are no mosaics if this and `pairs` are 0."""
    seed: int = 0
    """The random seed that draws the images of the mosaics."""
    width: int = 384
    """The width of an image in a mosaic, in pixels; at least 64."""
    height: int = 256
    """The height of an image in a mosaic, in pixels; at least 64."""
    regions: str = ""
    """The path of a JSONL file of phrases and boxes in images of the first set, or "none".

    A line is {"image": ..., "phrase": ..., "box": [left, top, right, bottom]}. Empty for the file in the package, which
    is about the Kodak images.
    """
    measure: MeasureConfig = MeasureConfig(metrics=("psnr",))
    """How the files are measured."""
    kind: str = "steering"
    """The kind of the study."""

    def __post_init__(self) -> None:
        _check_steer(self.steer)
        if min(self.width, self.height) < 64:
            raise InvalidInput(f"width and height must be at least 64 pixels, got {self.width}x{self.height}")
        if min(self.pairs, self.quads) < 0:
            raise InvalidInput(f"pairs and quads must be at least 0, got {self.pairs} and {self.quads}")


@dataclass(frozen=True, kw_only=True)
class BoxMapConfig:
    """How a box becomes a quality map."""

    name: str = "boxes"
    """The map's name in results, in letters, digits, dots and dashes."""
    steps: float = 20
    """The steps of quality between the box and what is far from it, 0 to 100."""
    cover: float = COVER
    """The share of a cell, above 0 and up to 1, from which on a box has the whole cell.

    A cell of which the box covers less counts in proportion.
    """
    edge: float = 0
    """Over how many pixels around the box the map falls from that of the box to that of the rest, 0 or more."""
    fall: float = 100
    """The most steps by which the quality of a cell may fall, 0 to 100.

    The map is 0 on average, so that what is around a large box falls far.
    """

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InvalidInput(f"a map's name must be of letters, digits, dots and dashes, got {self.name!r}")
        for name, value in (("steps", self.steps), ("fall", self.fall)):
            if not 0 <= value <= 100:
                raise InvalidInput(f"{name} must be 0 to 100, got {value:g}")
        if not 0 < self.cover <= 1:
            raise InvalidInput(f"cover must be above 0 and at most 1, got {self.cover:g}")
        if not 0 <= self.edge < math.inf:
            raise InvalidInput(f"edge must be 0 pixels or more, got {self.edge:g}")


@dataclass(frozen=True, kw_only=True)
class OracleConfig:
    """What steering is worth where the named things are known, and what part of that words reach."""

    weights: str = "tacit-s"
    """The weights, by their name or path."""
    regions: tuple[str, ...] = ("kodak", "coco")
    """Lists of named regions: paths of JSONL files, or names of those in the package.

    Each set of images takes those that are about its images.
    """
    images: str = "all"
    """Which images are used: all, those that are marked as seen, or those that are marked as unseen."""
    maps: tuple[BoxMapConfig, ...] = (BoxMapConfig(),)
    """The quality maps that are made of the boxes; the first is the one that words are compared with."""
    words: bool = True
    """Whether the right words and the wrong ones are measured, too."""
    finders: tuple[str, ...] = ("core",)
    """What finds what the words name; each is measured."""
    steer: float = 20
    """The steps of quality between what the words name and what they do not, 0 to 100."""
    box_metrics: tuple[str, ...] = ("ssimulacra2",)
    """The metrics of the box alone, besides its PSNR, by their names in `tacit eval`."""
    measure: MeasureConfig = MeasureConfig(metrics=("psnr",))
    """How the files are measured."""
    kind: str = "oracle"
    """The kind of the study."""

    def __post_init__(self) -> None:
        _check_distinct("regions", self.regions)
        _check_distinct("maps", [form.name for form in self.maps])
        _check_distinct("finders", self.finders)
        _check_steer(self.steer)
        if self.images not in ("all", "seen", "unseen"):
            raise InvalidInput(f"images must be all, seen or unseen, got {self.images!r}")


@dataclass(frozen=True, kw_only=True)
class SurvivalConfig:
    """Whether what is named can still be read, detected and recognised in small files of equal size."""

    weights: str = "tacit-s"
    """The weights, by their name or path."""
    regions: tuple[str, ...] = ("kodak", "coco")
    """Lists of named regions: paths of JSONL files, or names of those in the package."""
    images: str = "all"
    """Which images are used: all, those that are marked as seen, or those that are marked as unseen."""
    rates: tuple[float, ...] = (0.1, 0.15, 0.25)
    """The sizes of the files, in bits per pixel."""
    map: BoxMapConfig = BoxMapConfig()
    """The quality map that is made of a box."""
    steer: float = 20
    """The steps of quality between what the words name and what they do not, 0 to 100."""
    finder: str = "core"
    """What finds what the words name."""
    judges: tuple[str, ...] = ("reading", "detection", "recognition")
    """What judges the decoded files."""
    measure: MeasureConfig = MeasureConfig()
    """The sets of images; the qualities and metrics in it are not used."""
    kind: str = "survival"
    """The kind of the study."""

    def __post_init__(self) -> None:
        _check_distinct("regions", self.regions)
        _check_distinct("rates", self.rates)
        _check_distinct("judges", self.judges)
        _check_steer(self.steer)
        if not all(0 < rate < math.inf for rate in self.rates):
            raise InvalidInput(f"rates must be above 0, got {', '.join(f'{rate:g}' for rate in self.rates)}")
        if self.images not in ("all", "seen", "unseen"):
            raise InvalidInput(f"images must be all, seen or unseen, got {self.images!r}")
        if unknown := set(self.judges) - set(JUDGE_NAMES):
            raise InvalidInput(f"judges must be of {', '.join(JUDGE_NAMES)}, got {', '.join(sorted(unknown))}")


StudyConfig = AblationConfig | CaptionStudyConfig | SteeringConfig | OracleConfig | SurvivalConfig

KINDS: Mapping[str, type[StudyConfig]] = {
    "ablation": AblationConfig,
    "captions": CaptionStudyConfig,
    "steering": SteeringConfig,
    "oracle": OracleConfig,
    "survival": SurvivalConfig,
}


def names() -> tuple[str, ...]:
    """Return the names of the configurations in the package."""
    return yaml_config.config_names(FOLDER)


def read(source: str, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read the configuration of a study.

    Args:
        source: The name of a configuration in the package, or the path of a YAML file.
        overrides: Changes as `key=value`, applied in turn.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: A key is unknown, a value is of the wrong kind, or an environment variable is not set.
    """
    values = yaml_config.read_values(source, FOLDER, overrides, "key=value, such as measure.qualities=[20,50,80]")
    values = _expanded(values)
    kind = values.get("kind", "ablation") if isinstance(values, Mapping) else "ablation"
    if kind not in KINDS:
        raise InvalidInput(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return yaml_config.from_values(KINDS[kind], values)


def plain(config: StudyConfig) -> dict[str, Any]:
    """Return a configuration as plain values that `read` takes, fit to be stored with results.

    Texts have the names of environment variables again, because results go to other machines.
    """
    return contracted(yaml_config.plain_values(dataclasses.asdict(config)))  # type: ignore[no-any-return]


def contracted(value: Any) -> Any:
    """Return plain values in which the names of environment variables stand instead of the variables' values."""
    if isinstance(value, Mapping):
        return {k: contracted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [contracted(v) for v in value]
    if isinstance(value, str):
        for name in VARIABLES:
            if os.environ.get(name):
                value = value.replace(os.environ[name], f"${{{name}}}")
    return value


def _expanded(value: Any) -> Any:
    """Return plain values in which the values of environment variables stand instead of the variables' names."""
    if isinstance(value, Mapping):
        return {k: _expanded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v) for v in value]
    return re.sub(r"\$\{(\w+)\}", _variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    value = os.environ.get(match[1])
    if not value:
        raise InvalidInput(f"the configuration has {match[0]}, and the environment variable {match[1]} is not set")
    return value


def _check_steer(*steer: float) -> None:
    if not all(0 <= steps <= 100 for steps in steer):
        raise InvalidInput(f"steer must be 0 to 100, got {', '.join(f'{steps:g}' for steps in steer)}")


def _check_distinct(name: str, values: Sequence[object]) -> None:
    if not values:
        raise InvalidInput(f"{name} must have at least one value, got none")
    if len(set(values)) < len(values):
        raise InvalidInput(f"{name} must differ from each other, got {', '.join(map(str, values))}")
