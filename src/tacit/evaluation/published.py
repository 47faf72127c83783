"""Curves from papers, as lines to compare with. Their authors measured them; each names its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedCurve:
    """rates in bits per pixel, and values of `metric`, on the set called `dataset`."""

    name: str
    dataset: str
    metric: str
    rates: tuple[float, ...]
    values: tuple[float, ...]
    source: str

    @property
    def label(self) -> str:
        """Its name among codecs that were measured."""
        return f"{self.name}, published"


_VTM = (0.04824490, 0.11249542, 0.24581655, 0.49054549, 0.87481011, 1.43084971)
_VTM_SOURCE = (
    "VTM, the reference encoder of H.266, intra, Kodak: CompressAI's results/image/kodak/vtm.json (commit 128f003), "
    "its points below 1.5 bpp"
)
_MBT = (0.11053128, 0.18697103, 0.28769599, 0.43233914, 0.63876682, 0.88530477, 1.20036485)
_MBT_SOURCE = (
    "Minnen et al., Joint Autoregressive and Hierarchical Priors, NeurIPS 2018, trained for MSE, Kodak, decoded to 8 "
    "bits: CompressAI's results/image/8bit-decoded/kodak/compressai-mbt2018_mse_ans_cuda.json (commit 128f003), its "
    "points below 1.5 bpp"
)

PUBLISHED = (
    PublishedCurve(
        "ELIC",
        "Kodak",
        "psnr",
        (0.0468, 0.0767, 0.1236, 0.1964, 0.3334, 0.4909, 0.7041, 0.8573),
        (26.27, 27.68, 29.13, 30.70, 32.80, 34.59, 36.49, 37.62),
        "He et al., ELIC, CVPR 2022: Kodak, mean rate and mean PSNR (dB) over the 24 images, as published",
    ),
    PublishedCurve(
        "VTM",
        "Kodak",
        "psnr",
        _VTM,
        (26.14484539, 28.49302175, 31.19987372, 34.26153257, 37.41979316, 40.42444422),
        _VTM_SOURCE,
    ),
    PublishedCurve(
        "VTM",
        "Kodak",
        "ms-ssim",
        _VTM,
        (0.86060816, 0.91769093, 0.95610773, 0.97807829, 0.98877680, 0.99386000),
        _VTM_SOURCE,
    ),
    PublishedCurve(
        "mbt2018",
        "Kodak",
        "psnr",
        _MBT,
        (28.08446844, 29.63985006, 31.35390815, 33.07363900, 35.07471554, 36.96030998, 38.88946756),
        _MBT_SOURCE,
    ),
    PublishedCurve(
        "mbt2018",
        "Kodak",
        "ms-ssim",
        _MBT,
        (0.92060765, 0.94313671, 0.96266658, 0.97513170, 0.98346968, 0.98914955, 0.99277732),
        _MBT_SOURCE,
    ),
)
