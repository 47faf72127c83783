"""What a study is: frozen dataclasses, read from YAML, every key overridable as `key=value`.

`${NAME}` in a text stands for the environment's variable NAME.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from tacit import yaml_config
from tacit.errors import InvalidInput

FOLDER = resources.files("tacit.study") / "configs"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")

VARIABLES = ("TACIT_DATA", "TACIT_POOL", "TACIT_WEIGHTS")  # what the configurations in the package ask for


@dataclass(frozen=True)
class SetConfig:
    """A set of images to measure on; one that is not there is said and left out.

    source: as `tacit eval` takes it. captions: by kind (short, detailed, ...), where its captions are: a map's path,
    "own" for the set's own, or "joined" for all of an image's own as one. limit: the first so many images; 0 for all.
    """

    source: str
    captions: Mapping[str, str] = field(default_factory=dict)
    limit: int = 0


@dataclass(frozen=True)
class MeasureConfig:
    """How files are measured, by the evaluation harness. precision: of the model, fp32, bf16 or auto."""

    sets: tuple[SetConfig, ...] = ()
    qualities: tuple[float, ...] = (10, 35, 60, 85)
    metrics: tuple[str, ...] = ("psnr", "ms-ssim", "squeezenet-distance")
    precision: str = "auto"


@dataclass(frozen=True)
class VariantConfig:
    """overrides: of the training configuration. codec: what stands behind the weights file for `tacit eval`, such as
    "+captions". captions: the kind that is given when measuring."""

    name: str
    overrides: tuple[str, ...] = ()
    codec: str = "+captions"
    captions: str = "short"


@dataclass(frozen=True)
class AblationConfig:
    """Variants of one training run, the first of which is the baseline.

    training: a configuration of `tacit train`. start: weights to begin with; none begins anew. steps: of each run, if
    not what the training configuration says. shared: overrides for every variant.
    """

    training: str = "tacit-s"
    start: str = ""
    steps: int = 0
    shared: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1)
    variants: tuple[VariantConfig, ...] = ()
    measure: MeasureConfig = MeasureConfig()
    kind: str = "ablation"

    def __post_init__(self) -> None:
        _distinct("variants", [v.name for v in self.variants], 1)
        _distinct("seeds", self.seeds, 1)
        for variant in self.variants:
            if not NAME.fullmatch(variant.name):
                raise InvalidInput(f"variant {variant.name!r}: letters, digits, dots and dashes are possible")


@dataclass(frozen=True)
class CaptionStudyConfig:
    """The same weights with no caption, with each kind of caption, and with other images' captions of that kind.

    steer: by how many steps of quality captions steer; each of them is measured, and 0 is what the caption does inside
    the network alone. rotations: how many other images' captions each image gets, one after the other.
    """

    weights: str = "tacit-s"
    kinds: tuple[str, ...] = ("short", "detailed")
    steer: tuple[float, ...] = (0, 20)
    rotations: int = 2
    measure: MeasureConfig = MeasureConfig()
    kind: str = "captions"

    def __post_init__(self) -> None:
        _distinct("kinds", self.kinds, 1)
        _distinct("steer", self.steer, 1)
        _check_steer(*self.steer)
        if self.rotations < 1:
            raise InvalidInput(f"rotations {self.rotations}: 1 or more are possible")


@dataclass(frozen=True)
class SteeringConfig:
    """Whether a caption's words bring bits to what they name, in mosaics of photos and in single photos.

    captions: the kind that mosaics use. steer: steps of quality between what is named and what is not. pairs, quads:
    mosaics of two and of four photos of the first set, drawn by `seed`; none if both are 0. width, height: of a photo
    in a mosaic, in pixels. regions: a JSONL file of phrases and boxes in images of that set, {"image": ..., "phrase":
    ..., "box": [left, top, right, bottom]}; empty for the one in the package, which is of Kodak, and "none" for none.
    """

    weights: str = "tacit-s"
    captions: str = "short"
    steer: float = 20
    pairs: int = 12
    quads: int = 6
    seed: int = 0
    width: int = 384
    height: int = 256
    regions: str = ""
    measure: MeasureConfig = MeasureConfig(metrics=("psnr",))
    kind: str = "steering"

    def __post_init__(self) -> None:
        _check_steer(self.steer)
        if min(self.width, self.height) < 64:
            raise InvalidInput(f"parts of {self.width}x{self.height} pixels: 64 or more a side are possible")
        if min(self.pairs, self.quads) < 0:
            raise InvalidInput("pairs and quads: 0 or more are possible")


StudyConfig = AblationConfig | CaptionStudyConfig | SteeringConfig

KINDS: Mapping[str, type[StudyConfig]] = {
    "ablation": AblationConfig,
    "captions": CaptionStudyConfig,
    "steering": SteeringConfig,
}


def names() -> tuple[str, ...]:
    """The configurations in the package."""
    return yaml_config.names(FOLDER)


def read(source: str, overrides: Sequence[str] = ()) -> StudyConfig:
    """A configuration of the package by its name, or a YAML file, with `key=value` applied in turn.

    Raises: PathError; InvalidInput, for an unknown key, a value of the wrong kind or a variable that is not set.
    """
    values = yaml_config.read(source, FOLDER, overrides, "key=value, such as measure.qualities=[20,50,80]")
    values = _expanded(values)
    kind = values.get("kind", "ablation") if isinstance(values, Mapping) else "ablation"
    if kind not in KINDS:
        raise InvalidInput(f"kind {kind!r}: known are {', '.join(KINDS)}")
    return yaml_config.build(KINDS[kind], values)


def plain(config: StudyConfig) -> dict[str, Any]:
    """Plain values, as `read` takes them: with the variables' names again, since results go to other machines."""
    return contracted(yaml_config.plain(dataclasses.asdict(config)))  # type: ignore[no-any-return]


def contracted(value: Any) -> Any:
    """Plain values with the variables' names instead of what they stand for."""
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
    """With the environment's variables in texts."""
    if isinstance(value, Mapping):
        return {k: _expanded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v) for v in value]
    return re.sub(r"\$\{(\w+)\}", _variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    found = os.environ.get(match[1])
    if not found:
        raise InvalidInput(f"{match[0]} is in the configuration, and the environment's variable {match[1]} is not set")
    return found


def _check_steer(*steer: float) -> None:
    if not all(0 <= steps <= 100 for steps in steer):
        raise InvalidInput(f"steer {', '.join(f'{steps:g}' for steps in steer)}: 0 to 100 are possible")


def _distinct(name: str, values: Sequence[object], least: int) -> None:
    if len(values) < least:
        raise InvalidInput(f"{name}: {least} or more are needed")
    if len(set(values)) < len(values):
        raise InvalidInput(f"{name}: two are the same")
