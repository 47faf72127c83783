"""Curves that papers have published, to compare with; their authors measured them, and each names its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PublishedCurve:
    """The rate-distortion curve of a codec that was not measured here."""

    name: str
    """The codec's name."""
    dataset: str
    """The data set's name."""
    metric: str
    """The metric's name."""
    rates: tuple[float, ...]
    """Rates in bits per pixel."""
    values: tuple[float, ...]
    """The metric's values at these rates."""
    source: str
    """Where the curve was published."""

    @property
    def label(self) -> str:
        """The curve's name among codecs that were measured here."""
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
        name="ELIC",
        dataset="Kodak",
        metric="psnr",
        rates=(0.0468, 0.0767, 0.1236, 0.1964, 0.3334, 0.4909, 0.7041, 0.8573),
        values=(26.27, 27.68, 29.13, 30.70, 32.80, 34.59, 36.49, 37.62),
        source="He et al., ELIC, CVPR 2022: Kodak, mean rate and mean PSNR (dB) over the 24 images, as published",
    ),
    PublishedCurve(
        name="VTM",
        dataset="Kodak",
        metric="psnr",
        rates=_VTM,
        values=(26.14484539, 28.49302175, 31.19987372, 34.26153257, 37.41979316, 40.42444422),
        source=_VTM_SOURCE,
    ),
    PublishedCurve(
        name="VTM",
        dataset="Kodak",
        metric="ms-ssim",
        rates=_VTM,
        values=(0.86060816, 0.91769093, 0.95610773, 0.97807829, 0.98877680, 0.99386000),
        source=_VTM_SOURCE,
    ),
    PublishedCurve(
        name="mbt2018",
        dataset="Kodak",
        metric="psnr",
        rates=_MBT,
        values=(28.08446844, 29.63985006, 31.35390815, 33.07363900, 35.07471554, 36.96030998, 38.88946756),
        source=_MBT_SOURCE,
    ),
    PublishedCurve(
        name="mbt2018",
        dataset="Kodak",
        metric="ms-ssim",
        rates=_MBT,
        values=(0.92060765, 0.94313671, 0.96266658, 0.97513170, 0.98346968, 0.98914955, 0.99277732),
        source=_MBT_SOURCE,
    ),
)
