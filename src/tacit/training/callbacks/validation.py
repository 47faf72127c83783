"""Validation on real files: the averaged weights are frozen, and images are encoded, decoded and compared."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor

from tacit.errors import InvalidInput, MissingExtra, MissingWeights, NotExact
from tacit.image.psnr import decibels, psnr
from tacit.models.float_model import FloatModel
from tacit.training.callbacks.ema import Ema
from tacit.training.config import ValidationConfig
from tacit.training.dataset.token_cache import TokenCache
from tacit.training.freezing import freeze_model
from tacit.training.validation_images import ValidationImage

log = logging.getLogger(__name__)

SHOWN = 4  # images that TensorBoard shows
MAX_PSNR = decibels(1e-9)  # of an image that was decoded without any error


@dataclass(frozen=True)
class CodedImage:
    """An image that was coded and decoded."""

    bits: float
    """The size of the file."""

    original: np.ndarray
    """The pixels that were coded [H, W, 3] uint8."""

    decoded: np.ndarray
    """The decoded pixels [H, W, 3] uint8."""


Coder = Callable[[ValidationImage, float | None], CodedImage]
"""Codes and decodes an image at a quality, None for a model of one rate."""


class Validation(L.Callback):
    """Measures bits per pixel and the metrics at each quality, every `config.every` steps and at the end.

    Args:
        config: The validation's configuration.
        images: What is coded.
        ema: The moving average of the weights, which is measured.
        crops: Returns the crops for freezing.
        tokens: The tokens of captions, for estimates.

    Raises:
        InvalidInput: A metric does not exist.
    """

    def __init__(
        self,
        config: ValidationConfig,
        images: Sequence[ValidationImage],
        ema: Ema,
        crops: Callable[[], Tensor],
        tokens: TokenCache,
    ) -> None:
        self.config, self.images, self.ema = config, images, ema
        self.crops, self.tokens = crops, tokens
        self.figures: list[dict[str, float]] = []
        self._metrics = dict(_available_metrics(config.metrics))

    @property
    def state_key(self) -> str:
        """The callback's name in a checkpoint."""
        return "validation"

    def state_dict(self) -> dict[str, Any]:
        """Return the figures for a checkpoint, from which they go to the training card."""
        return {"figures": self.figures}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the figures from a checkpoint."""
        self.figures = state_dict["figures"]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Validate when it is due."""
        if self.config.every and pl_module.steps % self.config.every == 0:
            self.run(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Validate the result, unless the last step did so."""
        if not self.config.every or pl_module.steps % self.config.every:
            self.run(trainer, pl_module)

    def run(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Validate on the first process, while the others wait."""
        if trainer.is_global_zero:
            try:
                self.figures = self._measure(trainer, pl_module.steps)
            except NotExact as error:  # weights that cannot be frozen yet may well be later
                log.warning("no validation at step %d: %s", pl_module.steps, error)
            else:
                self._write(trainer, pl_module.steps)
        trainer.strategy.barrier("validation")

    def _write(self, trainer: L.Trainer, steps: int) -> None:
        row: dict[str, float] = {}
        for figures in self.figures:
            prefix = f"val_q{figures['quality']:g}_" if "quality" in figures else "val_"
            row |= {f"{prefix}{name}": value for name, value in figures.items() if name != "quality"}
        for logger in trainer.loggers:
            logger.log_metrics(row, step=steps)
            logger.save()

    @torch.no_grad()
    def _measure(self, trainer: L.Trainer, steps: int) -> list[dict[str, float]]:
        model = copy.deepcopy(self.ema.model).cpu().eval()
        variable = bool(model.config.knots)
        qualities: Sequence[float | None] = self.config.qualities if variable else (None,)
        rows = []
        with tempfile.TemporaryDirectory(prefix="tacit-") as folder:
            code = self._file_coder(model, Path(folder))
            for quality in qualities:
                shown = quality in (None, qualities[len(qualities) // 2])
                figures = self._measure_at(code, quality, trainer if shown else None, steps)
                rows.append(figures if quality is None else {"quality": quality, **figures})
        return rows

    def _measure_at(
        self, code: Coder, quality: float | None, trainer: L.Trainer | None, steps: int
    ) -> dict[str, float]:
        """Return the figures of one quality; the trainer's loggers show the first images, if it is given."""
        rows: dict[str, list[float]] = {}
        for number, image in enumerate(self.images):
            coded = code(image, quality)
            height, width = coded.original.shape[:2]
            rows.setdefault("bpp", []).append(coded.bits / (height * width))
            for name, metric in self._metrics.items():
                try:
                    rows.setdefault(name, []).append(metric(coded.original, coded.decoded))
                except InvalidInput as error:
                    log.warning("%s: %s", image.name, error)
            if trainer is not None and number < SHOWN:
                _show(trainer, image.name, np.concatenate([coded.original, coded.decoded], axis=1), steps)
        return {name: sum(values) / len(values) for name, values in rows.items() if values}

    def _file_coder(self, model: FloatModel, folder: Path) -> Coder:
        """Return a coder that writes real files by the frozen model."""
        from PIL import Image

        from tacit import weights
        from tacit.codec import Codec

        path = folder / "validated.safetensors"
        weights.save(path, model, freeze_model(model, self.crops()), {})
        codec = Codec(path, word_weights=self.tokens.weighted)

        def code(image: ValidationImage, quality: float | None) -> CodedImage:
            data = codec.encode(Image.fromarray(image.pixels), image.caption, quality)
            return CodedImage(8 * len(data), image.pixels, np.asarray(codec.decode(data).convert("RGB")))

        return code


def _available_metrics(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        if name == "psnr":  # needs nothing that may be missing
            yield name, _finite_psnr
            continue
        try:
            from tacit.evaluation.metrics import load_metric

            yield name, load_metric(name)
        except (ImportError, MissingExtra, MissingWeights) as error:
            log.warning("validation goes without %s: %s", name, error)


def _finite_psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    """Return the PSNR in dB, at most `MAX_PSNR`, so that means over images stay finite."""
    return min(psnr(decoded, original), MAX_PSNR)


def _show(trainer: L.Trainer, name: str, pixels: np.ndarray, steps: int) -> None:
    """Show an image in TensorBoard."""
    for logger in trainer.loggers:
        experiment: Any = getattr(logger, "experiment", None)
        if hasattr(experiment, "add_image"):
            experiment.add_image(name, pixels, steps, dataformats="HWC")
