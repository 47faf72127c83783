"""Validation on real files: the averaged weights are frozen, photos become bytes and photos again, and are compared."""

from __future__ import annotations

import copy
import importlib.util
import logging
import math
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
from tacit.models.layers import pad_to_multiple
from tacit.training.callbacks.ema import Ema
from tacit.training.config import ValidationConfig
from tacit.training.dataset.caption_cache import CaptionCache
from tacit.training.export import freeze

log = logging.getLogger(__name__)

PICTURES = 4  # photos that TensorBoard shows


@dataclass(frozen=True)
class ValidationImage:
    """A photo to validate on: pixels [H, W, 3] uint8."""

    name: str
    pixels: np.ndarray
    caption: str | None


Coder = Callable[[ValidationImage, float | None], tuple[float, np.ndarray, np.ndarray]]
"""A picture and a quality -> bits, the pixels that were coded, and the decoded ones."""


class Validation(L.Callback):
    """Every `config.every` steps, and at the end: bits per pixel and the metrics at each quality.

    crops: makes the crops for freezing. Where files cannot be written (constriction is not installed), bits are those
    that the float networks estimate, and are called bpp_estimated.
    """

    def __init__(
        self,
        config: ValidationConfig,
        pictures: Sequence[ValidationImage],
        ema: Ema,
        crops: Callable[[], Tensor],
        captions: CaptionCache,
    ) -> None:
        self.config, self.pictures, self.ema = config, pictures, ema
        self.crops, self.captions = crops, captions
        self.figures: list[dict[str, float]] = []
        self.real = importlib.util.find_spec("constriction") is not None
        self._metrics = dict(_available(config.metrics))

    @property
    def state_key(self) -> str:
        """Its name in a checkpoint."""
        return "validation"

    def state_dict(self) -> dict[str, Any]:
        """The figures, for the training card."""
        return {"figures": self.figures}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The figures."""
        self.figures = state_dict["figures"]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Validate when it is time."""
        if self.config.every and pl_module.steps % self.config.every == 0:
            self.run(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Validate what came out, unless that was just done."""
        if not self.config.every or pl_module.steps % self.config.every:
            self.run(trainer, pl_module)

    def run(self, trainer: L.Trainer, pl_module: Any) -> None:
        """On the first process; the others wait."""
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
        found = []
        with tempfile.TemporaryDirectory(prefix="tacit-") as folder:
            code = self._files(model, Path(folder)) if self.real else self._estimates(model)
            for quality in qualities:
                shown = quality in (None, qualities[len(qualities) // 2])
                figures = self._at(code, quality, trainer if shown else None, steps)
                found.append(figures if quality is None else {"quality": quality, **figures})
        return found

    def _at(self, code: Coder, quality: float | None, trainer: L.Trainer | None, steps: int) -> dict[str, float]:
        rows: dict[str, list[float]] = {}
        for number, picture in enumerate(self.pictures):
            bits, pixels, decoded = code(picture, quality)
            height, width = pixels.shape[:2]
            rows.setdefault("bpp" if self.real else "bpp_estimated", []).append(bits / (height * width))
            for name, metric in self._metrics.items():
                try:
                    rows.setdefault(name, []).append(metric(pixels, decoded))
                except InvalidInput as error:
                    log.warning("%s: %s", picture.name, error)
            if trainer is not None and number < PICTURES:
                _show(trainer, picture.name, np.concatenate([pixels, decoded], axis=1), steps)
        return {name: sum(values) / len(values) for name, values in rows.items() if values}

    def _files(self, model: Any, folder: Path) -> Coder:
        from PIL import Image

        from tacit import weights
        from tacit.codec import Codec

        path = folder / "validated.safetensors"
        weights.save(path, model, freeze(model, self.crops()), {})
        codec = Codec(path, word_weights=self.captions.weighted)

        def code(picture: ValidationImage, quality: float | None) -> tuple[float, np.ndarray, np.ndarray]:
            data = codec.encode(Image.fromarray(picture.pixels), picture.caption, quality)
            return 8 * len(data), picture.pixels, np.asarray(codec.decode(data).convert("RGB"))

        return code

    def _estimates(self, model: Any) -> Coder:
        def code(picture: ValidationImage, quality: float | None) -> tuple[float, np.ndarray, np.ndarray]:
            # cut to what needs no padding, whose bits would count
            height, width = (max(64, side // 64 * 64) for side in picture.pixels.shape[:2])
            pixels = picture.pixels[:height, :width]
            x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
            seeds = torch.zeros(1, dtype=torch.int64)
            out = model(
                pad_to_multiple(x, 64),
                self.captions([picture.caption]),
                torch.tensor([50.0 if quality is None else quality]),
                seeds,
            )
            decoded = out.x_hat[0, :, : x.shape[2], : x.shape[3]].clamp(0, 1).mul(255).round().byte()
            return float(out.y_bits + out.z_bits), pixels, decoded.permute(1, 2, 0).numpy()

        return code


def _available(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        if name == "psnr":  # needs nothing that may be missing
            yield name, _psnr
            continue
        try:
            from tacit.evaluation.metrics import load_metric

            yield name, load_metric(name)
        except (ImportError, MissingExtra, MissingWeights) as error:
            log.warning("validation goes without %s: %s", name, error)


def _psnr(reference: np.ndarray, decoded: np.ndarray) -> float:
    mse = float(np.square(decoded.astype(np.int32) - reference).mean())
    return 10 * math.log10(255**2 / max(mse, 1e-9))


def _show(trainer: L.Trainer, name: str, both: np.ndarray, steps: int) -> None:
    for logger in trainer.loggers:
        experiment: Any = getattr(logger, "experiment", None)
        if hasattr(experiment, "add_image"):
            experiment.add_image(name, both, steps, dataformats="HWC")
