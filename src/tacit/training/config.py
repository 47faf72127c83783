"""The configuration of a training run: frozen dataclasses, one for each section of the YAML file.

Every key can be overridden on the command line as `section.key=value`.
"""

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
from tacit.models.distortion import Distortion
from tacit.models.ssim_loss import SMALLEST

FOLDER = resources.files("tacit.training") / "configs"

POOLS = ("pool", "prepared", "samples")
"""The kinds of data whose pixels are all in memory at once."""

_LENGTHS = ("steps", "epochs", "minutes")  # keys of the section `run`, of which one is not 0


def _check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidInput(f"{key} must be one of {', '.join(choices)}, got {value!r}")


def _check_least(section: str, config: object, **least: float) -> None:
    for name, lowest in least.items():
        value = getattr(config, name)
        if not value >= lowest:  # in this order, NaN is refused, too
            raise InvalidInput(f"{section}.{name} must be {lowest} or more, got {value}")


def _check_shares(section: str, config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise InvalidInput(f"{section}.{name} must be 0 to 1, got {value}")


@dataclass(frozen=True)
class ModelConfig:
    """The model to train."""

    name: str = "tacit-s"
    """Name of the architecture."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Sizes that differ from the architecture's own."""

    start: str = "klt"
    """`klt` begins with a linear transform codec written into the transforms, where the architecture can take one.
    `random` begins with random weights.
    """

    def __post_init__(self) -> None:
        _check_choice("model.name", self.name, tuple(ARCHITECTURES))
        _check_choice("model.start", self.start, ("klt", "random"))


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The images, their crops and their captions."""

    kind: str = "pool"
    """What `path` is: `folder`, `jsonl`, `coco`, `shards`, `prepared` (written by `tacit train CONFIG --prepare
    FOLDER`), `pool` (written by `tacit.training.dataset.pool.build_pool`), or `samples` (the demo's images; no path).
    """

    path: str = ""
    """The folder, the list, the folder of COCO's images, the shards (patterns, separated by blanks) or the pool."""

    captions: str = ""
    """The JSON file of COCO's captions; with `jsonl`, the folder of the images."""

    batch: int = 16
    """Samples in a step, over all processes."""

    crop: int = 192
    """Height and width of the crops in pixels; a multiple of 64."""

    caption_dropout: float = 0.3
    """Share of the samples whose caption the encoder does not see, 0 to 1."""

    join_captions: bool = False
    """Read all captions of an image as one long caption, instead of drawing one of them."""

    word_weights: bool = False
    """Let names and rare nouns in the captions draw more attention (docs/words.md)."""

    quality_maps: float = 0.0
    """Share of the samples whose quality varies over the crop, 0 to 1, so that files can spend bits by region."""

    quality_spread: float = 35.0
    """The most by which such a quality is raised or lowered."""

    by_area: bool = True
    """Draw large images more often, where the images are in a pool."""

    in_memory: bool = True
    """Read a pool into memory at once."""

    on_device: bool = False
    """Keep a pool's pixels on the GPU, and cut the crops there."""

    workers: int = 0
    """Data loader processes for each training process."""

    shuffle: int = 1000
    """Samples of a stream among which the next one is drawn."""

    cache: str = ""
    """Folder that keeps the embedded captions; if empty, they are kept in memory only."""

    def __post_init__(self) -> None:
        _check_choice("data.kind", self.kind, ("pool", "prepared", "folder", "jsonl", "coco", "shards", "samples"))
        _check_least("data", self, batch=1, quality_spread=0, shuffle=0, workers=0)
        _check_shares("data", self, "caption_dropout", "quality_maps")
        if self.crop < 64 or self.crop % 64:
            raise InvalidInput(f"data.crop must be a multiple of 64, got {self.crop}")
        if self.on_device and self.kind not in POOLS:
            raise InvalidInput(f"data.on_device needs data.kind to be one of {', '.join(POOLS)}, got {self.kind}")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The weights of the loss' terms, any of which can be 0.

    The loss of an image is rate * bpp + lambda * (s * (255^2 * errors + structure * dissimilarity) + (1 - s) * 255^2 *
    MSE) + perceptual * distance, divided by (lambda / middle)^balance, where middle is the geometric mean of
    lambda_low and lambda_high. To the mean over the images, joint * the joint loss of the whole batch is added.
    """

    rate: float = 1.0
    """Weight of the bits per pixel."""

    mse: float = 1.0
    """Weight of the error's mean square."""

    coarse: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Weights of the mean squares of the error's means over 2x2, 4x4, 8x8 and 16x16 pixels."""

    lambda_low: float = 0.0004
    """Lambda at quality 0. Between the two ends, log lambda is linear in the quality."""

    lambda_high: float = 0.07
    """Lambda at quality 100; equal to lambda_low for a model of one rate."""

    rounded: float = 0.0
    """Share of the bits, 0 to 1, that is estimated for rounded latents, as files have them; noise replaces rounding
    in the rest.
    """

    balance: float = 0.4
    """Power of lambda that a sample's loss is divided by, so that low rates count as much as high ones."""

    structure: float = 0.0
    """Weight of 1 - MS-SSIM (`tacit.models.ssim_loss`); 1,000 is about as much as the MSE, at any rate."""

    shares: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """The factor s at quality 0, 50 and 100, linear between: how much of the distortion the errors and the
    dissimilarity are; the plain MSE is the rest.
    """

    partial: float = 0.0
    """Share of the samples, 0 to 1, of which only the first steps of the coding order count as decoded: the latents
    of the later ones stand at their predicted means, and their bits are not counted. So the beginning of a file learns
    to make an image. `tacit-s` only.
    """

    perceptual: float = 0.0
    """Weight of the perceptual distance."""

    perceptual_growth: float = 0.0
    """Power of lambda / middle that the perceptual term is multiplied with; 1 keeps its share of the loss over all
    rates.
    """

    perceptual_net: str = "alex"
    """`alex`, `vgg` or `squeeze` for LPIPS with that network; `features` for the distance of SqueezeNet's features."""

    perceptual_backbone: str = ""
    """File of the network's weights; if empty, where they usually are."""

    perceptual_heads: str = ""
    """File of LPIPS' linear weights; if empty, where they usually are."""

    perceptual_scale: str = "published"
    """The range of the images that LPIPS is given: `published` is [-1, 1], LPIPS' own convention; `taco` is [0, 1],
    which TACO's authors gave it.
    """

    joint: float = 0.0
    """Weight of the joint image-text loss (`tacit.training.clip_loss`)."""

    clip: str = "openai/clip-vit-base-patch32"
    """CLIP for the joint loss: a folder, or a name whose files are in the Hugging Face cache."""

    beta: float = 40.0
    """Weight of the difference between the image embeddings, within the joint loss."""

    published_joint: bool = False
    """Take one norm over the whole local batch, as the published code does, instead of the mean of the images' norms.
    """

    def __post_init__(self) -> None:
        _check_choice("loss.perceptual_net", self.perceptual_net, ("alex", "vgg", "squeeze", "features"))
        _check_choice("loss.perceptual_scale", self.perceptual_scale, ("published", "taco"))
        _check_shares("loss", self, "rounded", "partial")
        if not all(0 <= share <= 1 for share in self.shares):
            raise InvalidInput(f"loss.shares must each be 0 to 1, got {list(self.shares)}")
        if not 0 < self.lambda_low <= self.lambda_high:
            raise InvalidInput(
                f"loss.lambda_low must be above 0 and at most loss.lambda_high ({self.lambda_high}), "
                f"got {self.lambda_low}"
            )

    @property
    def distortion(self) -> Distortion:
        """What the loss counts as distortion, without the terms that networks judge."""
        return Distortion(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Distortion)})


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimizer, and the moving average of the weights."""

    kind: str = "adam"
    """`adam`, or `muon`: Muon for weights that are matrices, and Adam for all others."""

    learning_rate: float = 1e-3
    """The learning rate before the schedule."""

    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's decay rates, each 0 to less than 1."""

    clip: float = 1.0
    """The largest norm of the gradient; 0 for no limit."""

    quantile_rate: float = 0.0
    """Learning rate of the factorised prior's quantiles, which learn by a loss of their own; 0 leaves them as they
    are, as tacit-s does, which rounds about zero.
    """

    gains: float = 1.0
    """Learning rate of the channels' gains, times that of the other weights. A channel's step should be able to move
    by tens of percent, which takes thousands of steps at the rate of the other weights.
    """

    fixed: tuple[str, ...] = ()
    """Parts of the model that do not learn, by the beginnings of their parameters' names."""

    ema: float = 0.999
    """Decay of the moving average of the weights, 0 to 1; the average is what is validated and exported."""

    def __post_init__(self) -> None:
        _check_choice("optimizer.kind", self.kind, ("adam", "muon"))
        _check_least("optimizer", self, learning_rate=0, clip=0, quantile_rate=0, gains=0)
        _check_shares("optimizer", self, "ema")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise InvalidInput(f"optimizer.betas must each be 0 to less than 1, got {list(self.betas)}")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """The learning rate over the run."""

    kind: str = "cosine"
    """`cosine`: constant, then falling to a hundredth over the last part of the run. `multistep`: multiplied with
    `factor` at each milestone.
    """

    warmup: int = 200
    """Steps at the beginning over which the learning rate rises linearly."""

    decay: float = 0.2
    """The last share of the run, 0 to 1, over which a cosine falls."""

    milestones: tuple[int, ...] = ()
    """Epochs at which a multistep schedule changes the learning rate."""

    factor: float = 0.1
    """What the learning rate is multiplied with at each milestone."""

    def __post_init__(self) -> None:
        _check_choice("schedule.kind", self.kind, ("cosine", "multistep"))
        _check_least("schedule", self, warmup=0)
        _check_shares("schedule", self, "decay")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """The validation on real files."""

    images: str = ""
    """A folder, a JSONL list, or `samples` for the demo's images; no validation if empty."""

    every: int = 5000
    """Steps between validations; 0 validates at the end only."""

    count: int = 24
    """The most images that are used."""

    qualities: tuple[float, ...] = (10, 30, 50, 70, 90)
    """Qualities of the files that are written, each 0 to 100."""

    metrics: tuple[str, ...] = ("psnr", "ms-ssim", "squeezenet-distance")
    """Metrics as `tacit eval` names them; one that is not installed is left out, with a warning."""

    def __post_init__(self) -> None:
        _check_least("validation", self, every=0, count=1)
        if not self.qualities or not all(0 <= q <= 100 for q in self.qualities):
            raise InvalidInput(
                f"validation.qualities must be one or more numbers, each 0 to 100, got {list(self.qualities)}"
            )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where and how long a run trains; exactly one of steps, epochs and minutes is not 0."""

    out: str = "runs/tacit"
    """Folder of the checkpoint, the configuration and the logs."""

    steps: int = 0
    """Length of the run in optimizer steps."""

    epochs: float = 0.0
    """Length of the run in epochs."""

    minutes: float = 0.0
    """Length of the run in minutes of training."""

    seed: int = 0
    """Seed of the weights, the samples and the noise."""

    precision: str = "bf16-mixed"
    """`32-true` or `bf16-mixed`, as Lightning names them."""

    accelerator: str = "auto"
    """`cpu`, `gpu` or `auto`, as Lightning names them."""

    devices: int = 1
    """Devices on each machine."""

    nodes: int = 1
    """Machines."""

    strategy: str = "auto"
    """`ddp` over several devices, else `auto`."""

    step: str = "auto"
    """`loader`: batches come from a data loader. `device`: they are drawn on the device, from images that are kept in
    memory there. `captured`: the same, and the whole step is one CUDA graph, with compiled blocks. `auto`: captured on
    a single GPU where images are in memory and the run can be (docs/training.md), else loader.
    """

    compile: bool = False
    """Compile the model with torch.compile."""

    channels_last: bool = True
    """Keep images and weights with the channels last in memory."""

    deterministic: bool = False
    """Refuse algorithms whose results vary."""

    threads: int = 0
    """Threads of each process; 0 leaves the choice to torch."""

    checkpoint_minutes: float = 5.0
    """Minutes between checkpoints."""

    log_every: int = 50
    """Steps between rows of the log."""

    progress: bool = True
    """Show progress on standard error."""

    def __post_init__(self) -> None:
        _check_choice("run.precision", self.precision, ("32-true", "bf16-mixed"))
        _check_choice("run.strategy", self.strategy, ("auto", "ddp"))
        _check_choice("run.step", self.step, ("auto", "loader", "device", "captured"))
        _check_least("run", self, steps=0, epochs=0, minutes=0)
        _check_least("run", self, threads=0, seed=0, checkpoint_minutes=0, log_every=1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The configuration of a whole run, one field for each section."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    validation: ValidationConfig = ValidationConfig()
    run: RunConfig = RunConfig()

    def __post_init__(self) -> None:
        lengths = {name: getattr(self.run, name) for name in _LENGTHS}
        if sum(1 for length in lengths.values() if length) != 1:
            values = ", ".join(f"run.{name}={length}" for name, length in lengths.items())
            raise InvalidInput(f"exactly one of run.steps, run.epochs and run.minutes must not be 0, got {values}")
        if self.loss.structure and self.data.crop < SMALLEST:
            raise InvalidInput(
                f"data.crop must be 192 or more for loss.structure, which compares five scales, got {self.data.crop}"
            )
        if self.data.quality_maps and not ARCHITECTURES[self.model.name].quality_maps:
            raise InvalidInput(f"data.quality_maps must be 0 for {self.model.name}, got {self.data.quality_maps}")
        if self.loss.partial and self.model.name != "tacit-s":
            raise InvalidInput(f"loss.partial must be 0 for {self.model.name}, got {self.loss.partial}")
        if self.data.word_weights and self.model.options.get("published"):
            raise InvalidInput("data.word_weights must be false for the published network, which takes no weights")
        if self.schedule.kind == "multistep" and self.data.kind == "shards":
            raise InvalidInput("schedule.kind must be cosine for a stream of shards, which has no epochs")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for YAML and checkpoints."""
        return yaml_config.plain_values(dataclasses.asdict(self))  # type: ignore[no-any-return]

    def to_yaml(self) -> str:
        """Return the configuration as YAML that `read` reads."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False, default_flow_style=None, width=100)


def names() -> tuple[str, ...]:
    """Return the names of the configurations in the package."""
    return yaml_config.config_names(FOLDER)


def read(source: str, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration and apply overrides to it in turn.

    An override of the run's length (`run.steps`, `run.epochs` or `run.minutes`) replaces the length in the file.

    Args:
        source: The name of a configuration in the package, or the path of a YAML file.
        overrides: Texts of the form `section.key=value`.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: A key is unknown, or a value is of the wrong type or out of range.
    """
    values = yaml_config.read_values(source, FOLDER, overrides, "section.key=value, such as run.steps=1000")
    given = {override.partition("=")[0] for override in overrides}
    lengths = {name for name in _LENGTHS if f"run.{name}" in given}
    if any(values["run"][name] for name in lengths):
        values["run"] = {k: v for k, v in values["run"].items() if k not in _LENGTHS or k in lengths}
    return from_dict(values)


def from_dict(values: Any) -> Config:
    """Build a configuration from what `Config.as_dict` returned.

    Raises:
        InvalidInput: A key is unknown, or a value is of the wrong type or out of range.
    """
    return yaml_config.from_values(Config, values)
