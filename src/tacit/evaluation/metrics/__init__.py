"""Fidelity of decoded images: METRICS by name, each with the same small interface.

    metric = load_metric("ms-ssim")
    metric(reference, decoded)          # uint8 [H, W, 3] both -> float

Metrics of one image are called; those of a whole set (`level == "set"`) take pairs by `update` and answer `compute`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from tacit.errors import InvalidInput
from tacit.evaluation.metrics.clip import ClipScore
from tacit.evaluation.metrics.deep import LpipsMetric, SqueezenetDistance
from tacit.evaluation.metrics.distribution import fid, kid, squeezenet_frechet, squeezenet_kernel
from tacit.evaluation.metrics.fidelity import Psnr, PsnrY, psnr
from tacit.evaluation.metrics.metric import ImageMetric, Metric, SetMetric
from tacit.evaluation.metrics.perceived import Butteraugli, Ssimulacra2
from tacit.evaluation.metrics.similarity import MsSsim, Ssim

__all__ = ["METRICS", "ImageMetric", "Metric", "SetMetric", "load_metric", "psnr"]

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
        "squeezenet-distance": SqueezenetDistance,
        "clip-score": ClipScore,
        "fid": fid,
        "kid": kid,
        "squeezenet-frechet": squeezenet_frechet,
        "squeezenet-kernel": squeezenet_kernel,
    }
)
"""Name -> what makes it, with its options as keyword arguments."""


def load_metric(name: str, **options: Any) -> Metric:
    """A metric, ready to be used.

    Raises:
        InvalidInput: an unknown name or option.
        MissingExtra: what computes it is not installed.
        MissingWeights: a network's weights are not on this machine; the message says which file, and where from.
    """
    make = METRICS.get(name)
    if make is None:
        raise InvalidInput(f"no metric {name!r}; there are {', '.join(METRICS)}")
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        raise InvalidInput(f"{name}: {error}") from error
    return make(**options)
