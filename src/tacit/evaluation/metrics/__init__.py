"""Metrics of decoded images: METRICS by name, each with the same small interface.

    metric = load_metric("ms-ssim")
    metric(reference, decoded)          # both [H, W, 3] uint8 -> float

A metric of single images is called; one of a whole set (`level == "set"`) takes pairs by `update`, and `compute`
returns its value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.metrics.butteraugli import Butteraugli
from tacit.evaluation.metrics.clip_score import ClipScore
from tacit.evaluation.metrics.feature_distance import SqueezenetDistance
from tacit.evaluation.metrics.fid import fid, squeezenet_frechet
from tacit.evaluation.metrics.kid import kid, squeezenet_kernel
from tacit.evaluation.metrics.lpips import LpipsMetric, StLpipsMetric
from tacit.evaluation.metrics.metric import ImageMetric, Metric, SetMetric
from tacit.evaluation.metrics.psnr import Psnr, PsnrY
from tacit.evaluation.metrics.ssim import MsSsim, Ssim
from tacit.evaluation.metrics.ssimulacra2 import Ssimulacra2

__all__ = ["METRICS", "ImageMetric", "Metric", "SetMetric", "load_metric"]

METRICS: Mapping[str, Callable[..., Metric]] = MappingProxyType(
    {
        "psnr": Psnr,
        "psnr-y": PsnrY,
        "ssim": Ssim,
        "ms-ssim": MsSsim,
        "ssimulacra2": Ssimulacra2,
        "butteraugli": Butteraugli,
        "butteraugli-3norm": partial(Butteraugli, norm="3"),
        "lpips-alex": partial(LpipsMetric, "alex"),
        "lpips-vgg": partial(LpipsMetric, "vgg"),
        "lpips-squeeze": partial(LpipsMetric, "squeeze"),
        "lpips-alex-taco": partial(LpipsMetric, "alex", "taco"),
        "st-lpips": StLpipsMetric,
        "squeezenet-distance": SqueezenetDistance,
        "clip-score": ClipScore,
        "fid": fid,
        "kid": kid,
        "squeezenet-frechet": squeezenet_frechet,
        "squeezenet-kernel": squeezenet_kernel,
    }
)
"""By name, what makes the metric; its options are keyword arguments."""


def load_metric(name: str, **options: Any) -> Metric:
    """Return a metric that is ready to be used.

    Args:
        name: One of `METRICS`.
        options: The metric's own options.

    Raises:
        InvalidInput: The name or an option is not known.
        MissingExtra: What computes the metric is not installed.
        MissingWeights: A network's weights are not on this machine; the message names the file and its source.
    """
    make = METRICS.get(name)
    if make is None:
        raise InvalidInput(f"metric must be one of {', '.join(METRICS)}, got {name!r}")
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        raise InvalidInput(f"{name}: {error}") from error
    try:
        return make(**options)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra(f"{name} needs torch: pip install 'tacit[torch]'") from error
