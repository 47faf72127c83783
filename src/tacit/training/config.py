"""What a training run is: frozen dataclasses, read from YAML, every key overridable as `section.key=value`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from tacit import yaml_config
from tacit.architectures import ARCHITECTURES
from tacit.errors import InvalidInput
from tacit.training.ssim_loss import SMALLEST

FOLDER = resources.files("tacit.training") / "configs"

_LEAST = {
    "data.batch": 1,
    "data.quality_spread": 0,
    "data.shuffle": 0,
    "data.workers": 0,
    "optimizer.learning_rate": 0,
    "optimizer.clip": 0,
    "optimizer.quantile_rate": 0,
    "optimizer.gains": 0,
    "schedule.warmup": 0,
    "validation.every": 0,
    "validation.count": 1,
    "run.steps": 0,
    "run.epochs": 0,
    "run.minutes": 0,
    "run.threads": 0,
    "run.seed": 0,
    "run.checkpoint_minutes": 0,
    "run.log_every": 1,
}
POOLS = ("pool", "prepared", "samples")  # kinds of data whose pixels are in memory at once
_SHARES = ("data.caption_dropout", "data.quality_maps", "loss.rounded", "optimizer.ema", "schedule.decay")


@dataclass(frozen=True)
class ModelConfig:
    """name: of the architecture; options: sizes that differ from its own; start: klt (the transforms begin as a linear
    transform codec, where the architecture can) or random."""

    name: str = "tacit-s"
    options: Mapping[str, Any] = field(default_factory=dict)
    start: str = "klt"


@dataclass(frozen=True)
class DataConfig:
    """Photos, crops and captions.

    kind: folder, jsonl, coco, shards, prepared (by `tacit train CONFIG --prepare FOLDER`), pool (of
    `tacit.training.dataset.pool.build_pool`) or samples (scikit-image's photographs).
    path: the folder, list, COCO's images, shards (patterns, with blanks between) or pool.
    captions: COCO's captions JSON; with jsonl, the folder of the images.
    batch: samples of a step, over all processes. crop: pixels. workers: loader processes of each process.
    caption_dropout: share of samples whose caption the encoder does not see.
    join_captions: a photo's captions as one long one, instead of one of them.
    word_weights: let names and rare nouns of the captions draw more attention (docs/words.md).
    quality_maps: share of samples whose quality varies over the crop, so that files may spend bits by region;
    quality_spread: by how much at most, up and down.
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
    word_weights: bool = False
    quality_maps: float = 0.0
    quality_spread: float = 35.0
    by_area: bool = True
    in_memory: bool = True
    on_device: bool = False
    workers: int = 0
    shuffle: int = 1000
    cache: str = ""


@dataclass(frozen=True)
class LossConfig:
    """rate * bpp + lambda * (s * (255^2 * errors + structure * dissimilarity) + (1 - s) * 255^2 * MSE) + perceptual *
    distance, over (lambda / middle)^balance, of each image; and joint * the joint loss of all. Each weight can be 0.

    lambda_low, lambda_high: lambda at quality 0 and 100, log-linear between; equal for a fixed rate.
    rounded: share of the bits that is estimated for rounded latents, as files have them; the rest takes noise instead.
    mse: weight of the error's mean square; coarse: of those of its means over 2x2, 4x4, 8x8 and 16x16 pixels.
    structure: weight of 1 - MS-SSIM (`tacit.training.ssim_loss`); some 1,000 is as much as the MSE, at any rate.
    shares: s at quality 0, 50 and 100, linear between: how much of the distortion these are; the plain MSE is the rest.
    perceptual_growth: the perceptual term times (lambda / middle)^growth; 1 keeps its share of the loss over all rates.
    balance: a sample's loss is divided by (lambda / middle)^balance, so that low rates count as much as high ones.
    perceptual_net: alex, vgg or squeeze for LPIPS; features for the distance of SqueezeNet's features.
    perceptual_backbone, perceptual_heads: files of its weights; where they usually are if empty. perceptual_scale: what
    LPIPS is given: published ([-1, 1], its own convention) or taco ([0, 1], as TACO's authors gave it).
    clip: CLIP of the joint loss: a folder, or a name whose files are in the Hugging Face cache. beta: of its image
    embeddings' difference.
    published_joint: one norm over the whole local batch, as the published code took it.
    """

    rate: float = 1.0
    mse: float = 1.0
    coarse: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    lambda_low: float = 0.0004
    lambda_high: float = 0.07
    rounded: float = 0.0
    balance: float = 0.4
    structure: float = 0.0
    shares: tuple[float, float, float] = (1.0, 1.0, 1.0)
    perceptual: float = 0.0
    perceptual_growth: float = 0.0
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
    """kind: adam, or muon: that for matrices, Adam for the rest. clip: largest norm of the gradient, 0 for any.
    quantile_rate: learning rate of the factorised prior's quantiles, by a loss of their own; 0 leaves them (tacit-s
    rounds about zero). gains: learning rate of the channels' gains, times that of the rest; a channel's step is to move
    by tens of percent, which takes thousands of steps at the rate of all other weights. fixed: parts of the model that
    do not learn, by the beginnings of their parameters' names.
    """

    kind: str = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    quantile_rate: float = 0.0
    gains: float = 1.0
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

    precision: 32-true or bf16-mixed, as Lightning names them. strategy: ddp over several devices. compile: by
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
        _one_of("model.name", self.model.name, tuple(ARCHITECTURES))
        _one_of("model.start", self.model.start, ("klt", "random"))
        _one_of("data.kind", self.data.kind, ("pool", "prepared", "folder", "jsonl", "coco", "shards", "samples"))
        _one_of("loss.perceptual_net", self.loss.perceptual_net, ("alex", "vgg", "squeeze", "features"))
        _one_of("loss.perceptual_scale", self.loss.perceptual_scale, ("published", "taco"))
        _one_of("run.precision", self.run.precision, ("32-true", "bf16-mixed"))
        _one_of("run.strategy", self.run.strategy, ("auto", "ddp"))
        _one_of("optimizer.kind", self.optimizer.kind, ("adam", "muon"))
        _one_of("schedule.kind", self.schedule.kind, ("cosine", "multistep"))
        for name, least in _LEAST.items():
            if not self._at(name) >= least:
                raise InvalidInput(f"{name} {self._at(name)}: {least} or more is needed")
        for name in _SHARES:
            if not 0 <= self._at(name) <= 1:
                raise InvalidInput(f"{name} {self._at(name)}: a share from 0 to 1 is needed")
        if not all(0 <= beta < 1 for beta in self.optimizer.betas):
            raise InvalidInput(f"optimizer.betas {list(self.optimizer.betas)}: from 0 to less than 1 is needed")
        if not all(0 <= share <= 1 for share in self.loss.shares):
            raise InvalidInput(f"loss.shares {list(self.loss.shares)}: shares from 0 to 1 are needed")
        if not self.validation.qualities or not all(0 <= q <= 100 for q in self.validation.qualities):
            raise InvalidInput(f"validation.qualities {list(self.validation.qualities)}: some from 0 to 100 are needed")
        if sum(1 for n in (self.run.steps, self.run.epochs, self.run.minutes) if n) != 1:
            raise InvalidInput("one of run.steps, run.epochs and run.minutes is needed")
        if self.data.crop < 64 or self.data.crop % 64:
            raise InvalidInput(f"data.crop {self.data.crop}: a multiple of 64 is needed")
        if self.loss.structure and self.data.crop < SMALLEST:
            raise InvalidInput(
                f"data.crop {self.data.crop}: loss.structure compares five scales, and needs 192 or more"
            )
        if not 0 < self.loss.lambda_low <= self.loss.lambda_high:
            raise InvalidInput(f"loss.lambda_low {self.loss.lambda_low}: above 0 and at most lambda_high is needed")
        if self.data.quality_maps and not ARCHITECTURES[self.model.name].quality_maps:
            raise InvalidInput(f"data.quality_maps must be 0 for {self.model.name}, got {self.data.quality_maps}")
        if self.data.word_weights and self.model.options.get("published"):
            raise InvalidInput("data.word_weights: the published network has no place for weights of words")
        if self.data.on_device and self.data.kind not in POOLS:
            raise InvalidInput(f"data.on_device: only a pool ({', '.join(POOLS)}) can be kept on the device")
        if self.schedule.kind == "multistep" and self.data.kind == "shards":
            raise InvalidInput("schedule.kind multistep counts epochs, which a stream of shards has not")

    def _at(self, key: str) -> float:
        section, _, name = key.partition(".")
        return float(getattr(getattr(self, section), name))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and checkpoints."""
        return yaml_config.plain(dataclasses.asdict(self))  # type: ignore[no-any-return]

    def to_yaml(self) -> str:
        """As `read` reads it."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False, default_flow_style=None, width=100)


def names() -> tuple[str, ...]:
    """The configurations in the package."""
    return yaml_config.names(FOLDER)


def read(source: str, overrides: Sequence[str] = ()) -> Config:
    """A configuration of the package by its name, or a YAML file, with `section.key=value` applied in turn.

    Raises: PathError; InvalidInput, for an unknown key or a value of the wrong kind.
    """
    return from_dict(yaml_config.read(source, FOLDER, overrides, "section.key=value, such as run.steps=1000"))


def from_dict(values: Any) -> Config:
    """What `Config.as_dict` gave. Raises: InvalidInput."""
    return yaml_config.build(Config, values)


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidInput(f"{name} {value!r}: known are {', '.join(known)}")
