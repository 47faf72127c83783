"""What a training run is: frozen dataclasses, read from YAML, every key overridable as `section.key=value`."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tacit.errors import InvalidInput, PathError

T = TypeVar("T")


@dataclass(frozen=True)
class ModelConfig:
    """name: tacit-s or taco; options: sizes that differ from the architecture's own; start: klt (tacit-s begins as a
    linear transform codec) or random."""

    name: str = "tacit-s"
    options: Mapping[str, Any] = field(default_factory=dict)
    start: str = "klt"


@dataclass(frozen=True)
class DataConfig:
    """Photos, crops and captions.

    kind: folder, jsonl, coco, shards, prepared (by `tacit train CONFIG --prepare FOLDER`), pool (of
    `tacit.data.pool.build_pool`) or samples (scikit-image's photographs).
    path: the folder, list, COCO's images, shards (patterns, with blanks between) or pool.
    captions: COCO's captions JSON; with jsonl, the folder of the images.
    batch: samples of a step, over all processes. crop: pixels. workers: loader processes of each process.
    caption_dropout: share of samples whose caption the encoder does not see.
    join_captions: a photo's captions as one long one, instead of one of them.
    by_area: large photos more often, where the photos are in a pool. in_memory: read a pool at once.
    on_device: keep a pool's pixels on the GPU and cut crops there.
    shuffle: samples of a stream from which the next is drawn. cache: folder that keeps the embedded captions.
    """

    kind: str = "pool"
    path: str = ""
    captions: str = ""
    batch: int = 16
    crop: int = 192
    caption_dropout: float = 0.3
    join_captions: bool = False
    by_area: bool = True
    in_memory: bool = True
    on_device: bool = False
    workers: int = 0
    shuffle: int = 1000
    cache: str = ""


@dataclass(frozen=True)
class LossConfig:
    """bpp + lambda * 255^2 * MSE + perceptual * distance + joint * joint loss. Each weight can be 0.

    lambda_low, lambda_high: lambda at quality 0 and 100, log-linear between; equal for a fixed rate.
    rounded: share of the bits that is estimated for rounded latents, as files have them; the rest takes noise instead.
    balance: a sample's loss is divided by (lambda / middle)^balance, so that low rates count as much as high ones.
    perceptual_net: alex, vgg or squeeze for LPIPS; features for the distance of SqueezeNet's features.
    perceptual_backbone, perceptual_heads: files of its weights; where they usually are if empty. perceptual_scale: what
    LPIPS is given: published ([-1, 1], its own convention) or taco ([0, 1], as TACO's authors gave it).
    clip: CLIP of the joint loss, a local folder or a name on the hub. beta: of its image embeddings' difference.
    published_joint: one norm over the whole local batch, as the published code took it.
    """

    rate: float = 1.0
    mse: float = 1.0
    lambda_low: float = 0.0004
    lambda_high: float = 0.07
    rounded: float = 0.0
    balance: float = 0.4
    perceptual: float = 0.0
    perceptual_net: str = "alex"
    perceptual_backbone: str = ""
    perceptual_heads: str = ""
    perceptual_scale: str = "published"
    joint: float = 0.0
    clip: str = "openai/clip-vit-base-patch32"
    beta: float = 40.0
    published_joint: bool = False


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam. clip: largest norm of the gradient, 0 for any. quantile_rate: learning rate of the factorised prior's
    quantiles, by a loss of their own; 0 leaves them (tacit-s rounds about zero). fixed: parts of the model that do not
    learn, by the beginnings of their parameters' names."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    quantile_rate: float = 0.0
    fixed: tuple[str, ...] = ()
    ema: float = 0.999


@dataclass(frozen=True)
class ScheduleConfig:
    """kind: cosine (constant, then falling over the last share `decay` of the run, to a hundredth) or multistep (times
    `factor` at each of `milestones`, in epochs). warmup: steps of linear rise."""

    kind: str = "cosine"
    warmup: int = 200
    decay: float = 0.2
    milestones: tuple[int, ...] = ()
    factor: float = 0.1


@dataclass(frozen=True)
class ValidationConfig:
    """images: a folder or a JSONL list, or "samples" for scikit-image's; no validation if empty. every: steps between
    validations; 0 at the end only. count: of images at most. qualities: of the files that are written. metrics: as
    `tacit eval` names them; one that is not installed is left out, with a warning."""

    images: str = ""
    every: int = 5000
    count: int = 24
    qualities: tuple[float, ...] = (10, 30, 50, 70, 90)
    metrics: tuple[str, ...] = ("psnr", "ms-ssim", "squeezenet-distance")


@dataclass(frozen=True)
class RunConfig:
    """Where and how long. Exactly one of steps, epochs and minutes is not 0.

    precision: as Lightning names it (32-true, bf16-mixed). strategy: ddp over several devices. compile: by
    torch.compile. checkpoint_minutes: between checkpoints. log_every: steps. threads: of each process; 0 is torch's own
    choice. deterministic: refuse algorithms whose results vary.
    """

    out: str = "runs/tacit"
    steps: int = 0
    epochs: float = 0.0
    minutes: float = 0.0
    seed: int = 0
    precision: str = "bf16-mixed"
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    compile: bool = False
    channels_last: bool = True
    deterministic: bool = False
    threads: int = 0
    checkpoint_minutes: float = 5.0
    log_every: int = 50
    progress: bool = True


@dataclass(frozen=True)
class Config:
    """A whole run."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    validation: ValidationConfig = ValidationConfig()
    run: RunConfig = RunConfig()

    def __post_init__(self) -> None:
        _one_of("model.name", self.model.name, ("tacit-s", "taco"))
        _one_of("model.start", self.model.start, ("klt", "random"))
        _one_of("data.kind", self.data.kind, ("pool", "prepared", "folder", "jsonl", "coco", "shards", "samples"))
        _one_of("loss.perceptual_net", self.loss.perceptual_net, ("alex", "vgg", "squeeze", "features"))
        _one_of("loss.perceptual_scale", self.loss.perceptual_scale, ("published", "taco"))
        _one_of("run.strategy", self.run.strategy, ("auto", "ddp"))
        _one_of("schedule.kind", self.schedule.kind, ("cosine", "multistep"))
        if sum(1 for n in (self.run.steps, self.run.epochs, self.run.minutes) if n) != 1:
            raise InvalidInput("one of run.steps, run.epochs and run.minutes is needed")
        if self.data.crop < 64 or self.data.crop % 64:
            raise InvalidInput(f"data.crop {self.data.crop}: a multiple of 64 is needed")
        if not 0 < self.loss.lambda_low <= self.loss.lambda_high:
            raise InvalidInput(f"loss.lambda_low {self.loss.lambda_low}: above 0 and at most lambda_high is needed")
        if not 0 <= self.loss.rounded <= 1:
            raise InvalidInput(f"loss.rounded {self.loss.rounded}: a share from 0 to 1 is needed")
        if self.schedule.kind == "multistep" and self.data.kind == "shards":
            raise InvalidInput("schedule.kind multistep counts epochs, which a stream of shards has not")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and checkpoints."""
        return _plain(dataclasses.asdict(self))  # type: ignore[no-any-return]

    def to_yaml(self) -> str:
        """As `read` reads it."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False, default_flow_style=None, width=100)


def names() -> tuple[str, ...]:
    """The configurations in the package."""
    return tuple(sorted(p.name.removesuffix(".yaml") for p in _folder().iterdir() if p.name.endswith(".yaml")))


def read(source: str, overrides: Sequence[str] = ()) -> Config:
    """A configuration of the package by its name, or a YAML file, with `section.key=value` applied in turn.

    Raises: PathError; InvalidInput, for an unknown key or a value of the wrong kind.
    """
    packaged = _folder() / f"{source}.yaml"
    path = packaged if source in names() else Path(source)
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise PathError(
            f"configuration {source}: {getattr(error, 'strerror', None) or error}; in the package: {', '.join(names())}"
        ) from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{source}: {' '.join(str(error).split())}") from error
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.split(".")
        if not equals or len(parts) < 2:
            raise InvalidInput(f"{override!r}: expected section.key=value, such as run.steps=1000")
        section = values
        for part in parts[:-1]:
            section = section.setdefault(part, {}) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            raise InvalidInput(f"{key}: no such key")
        try:
            section[parts[-1]] = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise InvalidInput(f"{override!r}: {' '.join(str(error).split())}") from error
    return from_dict(values)


def from_dict(values: Any) -> Config:
    """What `Config.as_dict` gave. Raises: InvalidInput."""
    return _build(Config, values, "")


def _build(kind: type[T], values: Any, where: str) -> T:
    if not isinstance(values, Mapping):
        raise InvalidInput(f"{where or 'configuration'}: expected keys and values, got {values!r}")
    hints = typing.get_type_hints(kind)
    if unknown := [str(k) for k in values if k not in hints]:
        raise InvalidInput(f"{where}{unknown[0]}: no such key; there are: {', '.join(hints)}")
    return kind(**{k: _value(hints[k], v, f"{where}{k}") for k, v in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, f"{where}.")
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        kinds = typing.get_args(hint)
        if kinds[-1] is Ellipsis:
            return tuple(_value(kinds[0], v, where) for v in value)
        if len(value) == len(kinds):
            return tuple(_value(k, v, where) for k, v in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return dict(value)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML takes 1e-3 for text
        except ValueError:
            pass
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    name = getattr(hint, "__name__", hint) if not isinstance(hint, types.GenericAlias) else hint
    raise InvalidInput(f"{where}={value!r}: expected {name}")


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidInput(f"{name} {value!r}: known are {', '.join(known)}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _folder() -> Any:
    return resources.files("tacit.training") / "configs"
